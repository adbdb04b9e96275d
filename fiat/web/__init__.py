"""The doors over HTTP: webhooks, the API and two pages, on FastAPI; thin.

May see wiring, engine, run and errors. Start with `app.py`.
"""
