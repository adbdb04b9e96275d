from sklearn.ensemble import HistGradientBoostingClassifier


def train(data, params, run):
    model = HistGradientBoostingClassifier(
        learning_rate=params.learning_rate, max_iter=params.max_iter, random_state=run.seed
    )
    model.fit(data.train.features, data.train.codes)
    run.log(eval_accuracy=model.score(data.eval.features, data.eval.codes))
    return model
