"""Sources of the model: a file that may be replaced at any time, or a training in progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nerfpipe.config.params import load_params
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader, load_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import CHECKPOINT, runs_folder
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular, text_path

PREFIX = "model."  # of the model's tensors in a checkpoint
Loaded = tuple[Model, ModelHeader]


class NotYetError(NerfpipeError):
    """No model of this training was found yet; a newer checkpoint may contain one."""


class Source(ABC):
    """Loads the model, and tells whether there is a newer one."""

    _loaded: object = None  # version of the model loaded last

    def load(self) -> Loaded:
        """The model on the CPU and its header. Raises NerfpipeError."""
        self._loaded = self.version()  # before reading: a file written meanwhile is newer
        return self._read()

    def has_newer(self) -> bool:
        """Whether there is a model that was not loaded yet; false while the file is missing."""
        version = self.version()
        return version is not None and version != self._loaded

    @abstractmethod
    def version(self) -> object:
        """A value that changes with the model; None while there is no model."""

    @abstractmethod
    def describe(self) -> str:
        """The name of the source, for messages."""

    @abstractmethod
    def _read(self) -> Loaded: ...


class FileSource(Source):
    """A field.safetensors."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def version(self) -> object:
        return version_of(self.file)

    def describe(self) -> str:
        return str(self.file)

    def _read(self) -> Loaded:
        return load_model(self.file)


class TrainingSource(Source):
    """The newest of a training's checkpoints and its final model.

    A checkpoint holds weights alone. Method and scene are read from params.yaml and the ray bank, as in training.
    """

    def __init__(self, file: Path, rays: Path, checkpoints: Path | None = None) -> None:
        self.file, self.rays = file, rays
        self.checkpoints = runs_folder() if checkpoints is None else checkpoints

    def version(self) -> object:
        return max(self._found(), default=None)

    def describe(self) -> str:
        found = max(self._found(), default=None)
        return "no checkpoint yet" if found is None else f"{found[-1]}"

    def _read(self) -> Loaded:
        found = max(self._found(), default=None)
        if found is None:
            raise NotYetError(f"{self.checkpoints}: no checkpoint yet; start a training with `dvc repro train`")
        file = found[-1]
        return load_model(file) if file == self.file else load_checkpoint(file, self.rays)

    def _found(self) -> list[tuple[int, int, Path]]:
        files = [self.file, *self.checkpoints.glob(f"*/{CHECKPOINT}")]
        return [(*version, file) for file in files if (version := version_of(file)) is not None]


def version_of(file: Path) -> tuple[int, int] | None:
    """Time of the last change in nanoseconds, and size in bytes; None if there is no such file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def load_checkpoint(file: Path, rays: Path) -> Loaded:
    """The model of a checkpoint, as params.yaml and the ray bank describe it.

    Raises NotYetError if the checkpoint is incomplete or of another method.
    """
    from nerfpipe.training.header import describe_model

    params, bank = load_params(), RayBank(rays)
    model = build_model(params.recipe, params.seed, bank.space)
    try:
        refuse_irregular(file)
        with text_path(file) as path, safe_open(path, framework="pt") as content:
            names = [name for name in content.keys() if name.startswith(PREFIX)]  # noqa: SIM118, not a dict
            model.load_state_dict({name[len(PREFIX) :]: content.get_tensor(name).clone() for name in names})
    except (SafetensorError, OSError) as error:
        raise NotYetError(f"{file}: not a whole checkpoint ({error}); wait for the next one") from None
    except RuntimeError:
        raise NotYetError(f"{file}: does not fit method {params.method} as params.yaml has it now") from None
    return model.eval(), describe_model(params, bank)
