"""The whole list of what is looked at, in the order in which it is told."""

from functools import partial

from morphware.node.config import Config
from morphware.node.doctor.chain import check_chain
from morphware.node.doctor.examination import Check
from morphware.node.doctor.folder import check_disk, check_folder, check_keys, check_running
from morphware.node.doctor.gpu import check_gpu
from morphware.node.doctor.machine import check_machine
from morphware.node.doctor.network import check_ports
from morphware.node.doctor.sandbox import check_sandbox
from morphware.node.doctor.software import check_job_packages, check_packages, check_python


def checks_of(config: Config) -> tuple[Check, ...]:
    """All checks for a node with this configuration."""
    return (
        Check("python", check_python),
        Check("packages", check_packages, limit_s=120),
        *((Check("job packages", check_job_packages),) if set(config.node.roles) & {"worker", "validator"} else ()),
        Check("data folder", partial(check_folder, config)),
        Check("disk", partial(check_disk, config)),
        Check("keys", partial(check_keys, config)),
        Check("node", partial(check_running, config)),
        Check("chain", partial(check_chain, config), limit_s=45),
        Check("ports", partial(check_ports, config)),
        Check("sandbox", partial(check_sandbox, config), limit_s=120),
        Check("gpu", partial(check_gpu, config), limit_s=180),
        Check("machine", partial(check_machine, config)),
    )


def checks_without_configuration() -> tuple[Check, ...]:
    """What can be looked at when the configuration cannot be read."""
    return tuple(check for check in checks_of(Config()) if check.name in ("python", "packages", "sandbox", "gpu"))
