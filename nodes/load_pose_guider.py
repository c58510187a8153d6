"""Load the Pose Guider: the network that reads the skeletons."""

from comfy_api.latest import io

from ..animate_anyone_core.checkpoints.load import load_pose_guider
from .model_files import fingerprint, listed_verdict, network_choices, network_file
from .patchers import manage
from .schema import schema
from .sockets import CATEGORY, PoseGuiderSocket, output

NETWORK = "pose_guider"


class LoadPoseGuider(io.ComfyNode):
    """File -> AA_POSE_GUIDER."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            "AnimateAnyone_LoadPoseGuider",
            category=f"{CATEGORY}/loaders",
            aliases=("pose_guider.pth", "moore-animateanyone", "musepose"),
            inputs=[
                io.Combo.Input("pose_guider", options=network_choices(NETWORK)),
            ],
            outputs=[
                output(PoseGuiderSocket, "pose_guider_out"),
                output(io.String, "report"),
            ],
        )

    @classmethod
    def validate_inputs(cls, pose_guider: str | None) -> bool | str:
        return listed_verdict((pose_guider, network_choices(NETWORK)))

    @classmethod
    def fingerprint_inputs(cls, pose_guider: str) -> str:
        return fingerprint(network_file(pose_guider, NETWORK))

    @classmethod
    def execute(cls, pose_guider: str) -> io.NodeOutput:
        network, report = load_pose_guider(network_file(pose_guider, NETWORK))
        return io.NodeOutput(manage(network, "default", report), str(report))
