"""Where the model comes from: a file that may be replaced at any time, or a training that is under way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nerfpipe.config.params import load_params
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelAbout, load_model
from nerfpipe.models.registry import build_model
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.checkpoint import CHECKPOINT, runs_folder
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular, text_path

PREFIX = "model."  # of the model's tensors in a checkpoint
Loaded = tuple[Model, ModelAbout]


class NotYetError(NerfpipeError):
    """What is there is not the model of this training, but a newer checkpoint may be."""


class Source(ABC):
    """Gives the model, and says when there is a newer one."""

    _loaded: object = None

    def load(self) -> Loaded:
        """The model on the CPU and its header. Raises NerfpipeError."""
        self._loaded = self.stamp()  # before it is read: what is written meanwhile is newer
        return self._read()

    def newer(self) -> bool:
        """Whether there is a model that was not loaded yet. One that is gone is waited for."""
        stamp = self.stamp()
        return stamp is not None and stamp != self._loaded

    @abstractmethod
    def stamp(self) -> object:
        """What changes when the model does; None while there is none."""

    @abstractmethod
    def describe(self) -> str:
        """Where it is from, in a few words."""

    @abstractmethod
    def _read(self) -> Loaded: ...


class FileSource(Source):
    """A field.safetensors."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def stamp(self) -> object:
        return stamp_of(self.file)

    def describe(self) -> str:
        return str(self.file)

    def _read(self) -> Loaded:
        return load_model(self.file)


class TrainingSource(Source):
    """The newest of a training's checkpoints and the model that it leaves in the end.

    A checkpoint holds weights alone: what they belong to is read from params.yaml and the ray bank, as training does.
    """

    def __init__(self, file: Path, rays: Path, checkpoints: Path | None = None) -> None:
        self.file, self.rays = file, rays
        self.checkpoints = runs_folder() if checkpoints is None else checkpoints

    def stamp(self) -> object:
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
        return [(*stamp, file) for file in files if (stamp := stamp_of(file)) is not None]


def stamp_of(file: Path) -> tuple[int, int] | None:
    """When a file was last changed, in nanoseconds, and its size; None where it is not there."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def load_checkpoint(file: Path, rays: Path) -> Loaded:
    """The model of a checkpoint, as params.yaml and the ray bank describe it."""
    from nerfpipe.training.header import describe_model

    params, bank = load_params(), RayBank(rays)
    model = build_model(params.recipe, params.seed, bank.space)
    try:
        refuse_irregular(file)
        with text_path(file) as place, safe_open(place, framework="pt") as content:
            names = [name for name in content.keys() if name.startswith(PREFIX)]  # noqa: SIM118, not a dict
            model.load_state_dict({name[len(PREFIX) :]: content.get_tensor(name).clone() for name in names})
    except (SafetensorError, OSError) as error:
        raise NotYetError(f"{file}: not a whole checkpoint ({error}); wait for the next one") from None
    except RuntimeError:
        raise NotYetError(f"{file}: does not fit method {params.method} as params.yaml has it now") from None
    return model.eval(), describe_model(params, bank)
