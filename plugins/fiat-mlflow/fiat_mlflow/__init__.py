"""Fiat's deploy target `mlflow`: a model folder that `mlflow.pyfunc` loads, registered at a tracking server on request.

May import Fiat, NumPy and PyYAML, never MLflow. Start in `target.py`. `scorer.py` is copied into every model folder and runs
where there is no Fiat.
"""
