"""How the chain can fail a node. Each class's docstring is the sentence that the user reads, ending in what to do."""

from morphware.node.errors import ExitStatus, MorphwareError


class ChainFailure(MorphwareError):
    """The chain could not be used: look at the message below, and at the log of the RPC endpoint."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        sentence = " ".join((type(self).__doc__ or "").split())
        super().__init__(f"{sentence.removesuffix('.')} ({detail})." if detail else sentence)


class ChainUnreachable(ChainFailure):
    """The chain's RPC endpoint does not answer: check that it runs, and that the configured address is right."""


class MalformedAnswer(ChainFailure):
    """The RPC endpoint's answer makes no sense: check that the configured address is an Ethereum JSON-RPC endpoint."""


class AnswerTooLarge(ChainFailure):
    """The RPC endpoint's answer is larger than this node accepts: use another endpoint."""


class WrongChain(ChainFailure):
    """The RPC endpoint serves another chain than this node's market is on: correct the RPC address or the network."""

    exit_status = ExitStatus.BAD_INPUT


class NoMarket(ChainFailure):
    """There is no market at the configured address on this chain: correct the deployment file."""

    exit_status = ExitStatus.BAD_INPUT


class DeepReorganisation(ChainFailure):
    """The chain took back blocks that this node held to be final: raise finality_blocks, and rebuild its state."""


class NonceConflict(ChainFailure):
    """Another program keeps sending transactions with this account's key: stop it, or give this node its own key."""


class OutOfCoins(ChainFailure):
    """The account cannot pay for gas: send it some of the chain's native coins."""


class BadDeployment(ChainFailure):
    """The deployment file cannot be read: take it again from where the market was deployed."""

    exit_status = ExitStatus.BAD_INPUT


class RpcRefusal(ChainFailure):
    """The RPC endpoint refused a request: the message below is the endpoint's own; if it persists, use another one."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(f"{code}: {message}")
