from sklearn.linear_model import LogisticRegression


def train(data, params, run):
    model = LogisticRegression(C=params.c, max_iter=2000)
    model.fit(data.train.features, data.train.codes)
    run.log(train_accuracy=model.score(data.train.features, data.train.codes))
    return model
