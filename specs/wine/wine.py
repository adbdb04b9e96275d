"""Two models of wine quality: a forest and a straight line."""

from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train_forest(data, run, trees, smallest_leaf):
    """Many trees: follows bends and interactions."""
    model = RandomForestRegressor(n_estimators=trees, min_samples_leaf=smallest_leaf, random_state=run.seed)
    return model.fit(data.train.features, data.train.labels)


def train_linear(data, shrink):
    """One weight a column: small, fast, easy to read."""
    model = make_pipeline(StandardScaler(), Ridge(alpha=shrink))
    return model.fit(data.train.features, data.train.labels)
