"""The environment variables of a job: its folders by our names and by SageMaker's, threads, and quiet libraries."""

from typing import Final

_FOLDERS: Final = {
    "MORPHWARE_TRAIN_DIR": "/job/train",
    "MORPHWARE_TEST_DIR": "/job/test",
    "MORPHWARE_MODEL_DIR": "/job/model",
    "MORPHWARE_OUTPUT_DIR": "/job/output",
    "MORPHWARE_CHECKPOINT_DIR": "/job/checkpoint",
    "SM_CHANNEL_TRAINING": "/job/train",
    "SM_CHANNEL_TRAIN": "/job/train",
    "SM_CHANNEL_TEST": "/job/test",
    "SM_MODEL_DIR": "/job/model",
    "SM_OUTPUT_DATA_DIR": "/job/output",
    "SM_CHANNELS": '["training"]',
}
_SURROUNDINGS: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - a tmpfs of the sandbox's own
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "Agg",
    "MPLCONFIGDIR": "/tmp",  # noqa: S108
    "TORCHINDUCTOR_CACHE_DIR": "/tmp/inductor",  # noqa: S108
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "offline",
    # Threads that spin while they wait made training 12 times slower on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
}
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def job_environment(threads: int | None, *, has_gpu: bool = False) -> dict[str, str]:
    """Everything that a job finds in ``os.environ``."""
    environment = {**_FOLDERS, **_SURROUNDINGS, "SM_NUM_GPUS": "1" if has_gpu else "0"}
    if threads is not None:
        environment |= dict.fromkeys(_THREADS, str(threads))
    return environment
