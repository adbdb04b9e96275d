"""A Containerfile that makes a serving image of a model: for buildah, podman or docker, where a registry can be reached."""

from fiat.builtin.oci_image import MODELS

CONTAINERFILE, CONTEXT = "Containerfile", "model"
PORT = 8080
_PYTHON = "docker.io/library/python:3.11-slim"


def containerfile(model: str, release: str) -> str:
    """The file's text; it stands beside a folder `model` with the package's files.

    Args:
        model: the model's name.
        release: of Fiat, which serves it.
    """
    return f"""# A server of the model {model} for the Open Inference Protocol. Build it here: `buildah build -t {model} .`
ARG PYTHON={_PYTHON}
FROM ${{PYTHON}}
ARG FIAT=fiat-ml=={release}
RUN pip install --no-cache-dir "${{FIAT}}"
COPY {CONTEXT}/ /{MODELS}/{model}/
USER 65534:65534
ENV HOME=/tmp
WORKDIR /tmp
EXPOSE {PORT}
CMD ["fiat", "serve", "/{MODELS}/{model}", "--host", "0.0.0.0", "--port", "{PORT}"]
"""


def ignored() -> str:
    """Text of the `.containerignore` beside it: the image's own blobs are no part of the build."""
    return f"*\n!{CONTEXT}\n"
