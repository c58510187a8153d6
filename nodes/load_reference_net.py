"""Load ReferenceNet: the network that looks at the character."""

from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.load import load_reference_net
from .model_files import fingerprint, listed_verdict, network_choices, network_file
from .patchers import dtype_input, manage
from .schema import schema
from .sockets import CATEGORY, ReferenceNetSocket, output

NETWORK = "reference_unet"


class LoadReferenceNet(io.ComfyNode):
    """File -> AA_REFERENCE_NET."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadReferenceNet",
            category=f"{CATEGORY}/loaders",
            aliases=("reference_unet.pth", "reference unet", "moore-animateanyone", "musepose"),
            inputs=[
                io.Combo.Input("reference_net", options=network_choices(NETWORK)),
                dtype_input(),
            ],
            outputs=[
                output(ReferenceNetSocket, "reference_net_out"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, reference_net: str | None) -> bool | str:
        return listed_verdict((reference_net, network_choices(NETWORK)))

    @classmethod
    def fingerprint_inputs(cls, reference_net: str, dtype: str) -> str:
        return fingerprint(network_file(reference_net, NETWORK)) + dtype

    @classmethod
    def execute(cls, reference_net: str, dtype: str) -> io.NodeOutput:
        network, report = load_reference_net(network_file(reference_net, NETWORK))
        return io.NodeOutput(manage(network, dtype, report), str(report))
