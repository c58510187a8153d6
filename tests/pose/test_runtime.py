"""Files that are no networks, runtimes that are not there, devices that fail."""

import builtins
import logging

import numpy as np
import pytest

from animate_anyone_core.errors import CheckpointError, MissingDependencyError
from animate_anyone_core.pose import runtime
from animate_anyone_core.pose.runtime import OnnxNetwork, checked_outputs, open_network

BLANK = np.zeros((1, 3, 640, 640), np.float32)


def message_of(call, kind=CheckpointError):
    with pytest.raises(kind) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


class TestBadFiles:
    def test_no_file(self, tmp_path):
        assert message_of(lambda: open_network(tmp_path / "x.onnx")) == (
            f"There is no file {tmp_path / 'x.onnx'}."
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                b'{"error":\n "Access to this network is restricted"}',
                'x.onnx is a text file (\'{"error": "Access to this network is res\'...), not a '
                "network. Often that is an answer saved in place of the file; download it again.",
            ),
            (
                b"PK\x03\x04 and then nothing",
                "x.onnx is cut off or damaged. Download it again.",
            ),
        ],
    )
    def test_messages(self, tmp_path, content, message):
        path = tmp_path / "x.onnx"
        path.write_bytes(content)
        assert message_of(lambda: open_network(path)) == message

    def test_a_truncated_network(self, tmp_path, pose_files):
        path = tmp_path / "yolox_l.onnx"
        path.write_bytes((pose_files / "yolox_l.onnx").read_bytes()[:5000])
        assert message_of(lambda: open_network(path, "cpu")).startswith(
            "yolox_l.onnx is not a readable ONNX network; it may be cut off or another kind of "
            "file. Download it again. ("
        )

    def test_plain_weights(self, tmp_path):
        torch = pytest.importorskip("torch")
        path = tmp_path / "yolox_l.pth"
        torch.save({"weight": torch.zeros(3)}, path)
        assert message_of(lambda: open_network(path)) == (
            "yolox_l.pth holds plain weights, expected a whole network: an .onnx file, or a "
            ".torchscript.pt file."
        )

    def test_a_network_of_two_inputs(self, tmp_path):
        onnx = pytest.importorskip("onnx")
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        values = [helper.make_tensor_value_info(n, kind, [1]) for n in ("a", "b", "c")]
        graph = helper.make_graph(
            [helper.make_node("Add", ["a", "b"], ["c"])], "g", values[:2], values[2:]
        )
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "x.onnx")
        assert message_of(lambda: open_network(tmp_path / "x.onnx", "cpu")) == (
            "x.onnx must have one input, a picture; it has: a [1], b [1]."
        )

    def test_a_picture_of_the_wrong_size(self, pose_files):
        network = open_network(pose_files / "yolox_l.onnx", "cpu")
        text = message_of(lambda: network.run(np.zeros((1, 3, 64, 64), np.float32)))
        assert text.startswith("yolox_l.onnx fails on a picture of shape (1, 3, 64, 64): ")


class TestOnnxRuntime:
    def test_what_is_known_of_a_file(self, pose_files):
        network = open_network(pose_files / "dw-ll_ucoco_384.onnx", "cpu")
        assert network.input_shape == (None, 3, 384, 288)
        assert network.input_type == np.float32
        assert network.provider == "CPUExecutionProvider"

    def test_a_released_network_runs_again(self, pose_files):
        network = open_network(pose_files / "yolox_l.onnx", "cpu")
        first = network.run(BLANK)
        network.release()
        np.testing.assert_array_equal(network.run(BLANK)[0], first[0])
        assert network.calls == 2

    def test_a_device_that_is_not_there_falls_back_and_says_so(self, pose_files):
        for device in ("cuda", "cuda:1", "dml", "TensorrtExecutionProvider", "mps"):
            assert open_network(pose_files / "yolox_l.onnx", device).provider == (
                "CPUExecutionProvider"
            )

    def test_providers_are_tried_in_order(self, pose_files, monkeypatch):
        import onnxruntime

        monkeypatch.setattr(
            onnxruntime,
            "get_available_providers",
            lambda: ["CPUExecutionProvider", "DmlExecutionProvider", "CUDAExecutionProvider"],
        )
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
        names = [
            p if isinstance(p, str) else p[0] for p in runtime._providers_for("auto", "x.onnx")
        ]
        assert names == ["CUDAExecutionProvider", "DmlExecutionProvider", "CPUExecutionProvider"]
        (cuda, options), cpu = runtime._providers_for("cuda:1", "x.onnx")
        assert (cuda, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
        assert options["device_id"] == 1
        assert runtime._providers_for("cpu", "x.onnx") == ["CPUExecutionProvider"]
        assert runtime._providers_for("DmlExecutionProvider", "x.onnx")[0] == "DmlExecutionProvider"

    def test_a_provider_that_cannot_open_is_replaced(self, pose_files, monkeypatch, caplog):
        import onnxruntime

        real = onnxruntime.InferenceSession

        def fussy(path, options, providers):
            if providers != ["CPUExecutionProvider"]:
                raise RuntimeError("libcudart.so not found")
            return real(path, options, providers=providers)

        monkeypatch.setattr(onnxruntime, "InferenceSession", fussy)
        monkeypatch.setattr(
            runtime, "_providers_for", lambda *a: ["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        with caplog.at_level(logging.WARNING, "animate_anyone"):
            network = open_network(pose_files / "yolox_l.onnx")
        assert network.provider == "CPUExecutionProvider"
        assert "cannot run on CUDAExecutionProvider, using the CPU: libcudart" in caplog.text

    def test_a_provider_that_fails_while_running_is_replaced(self, pose_files, monkeypatch, caplog):
        network = open_network(pose_files / "yolox_l.onnx", "cpu")
        assert isinstance(network, OnnxNetwork)
        wanted = network.run(BLANK)[0]

        class Broken:
            def run(self, *args):
                raise RuntimeError("out of memory")

        network._session, network.provider = Broken(), "CUDAExecutionProvider"
        with caplog.at_level(logging.WARNING, "animate_anyone"):
            np.testing.assert_array_equal(network.run(BLANK)[0], wanted)
        assert network.provider == "CPUExecutionProvider"
        assert "continuing on the CPU: out of memory" in caplog.text

    def test_without_onnxruntime_the_message_says_what_to_install(self, pose_files, monkeypatch):
        _forbid(monkeypatch, "onnxruntime")
        text = message_of(lambda: open_network(pose_files / "yolox_l.onnx"), MissingDependencyError)
        assert text == (
            "yolox_l.onnx is an ONNX file and needs ONNX Runtime, which cannot be imported "
            "(no onnxruntime). Run `pip install onnxruntime`, or `pip install onnxruntime-gpu` "
            "for an NVIDIA GPU (never both: they overwrite each other), or choose the TorchScript "
            "files, which run on torch."
        )


def _forbid(monkeypatch, module):
    real = builtins.__import__

    def guarded(name, *args, **kwargs):
        if name.split(".")[0] == module:
            raise ImportError(f"no {module}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)


@pytest.fixture(scope="module")
def pair(standins, tmp_path_factory):
    """The TorchScript detector and estimator."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("torchscript")
    return standins.make_torchscript_pair(
        folder / "yolox_l.torchscript.pt", folder / "dw-ll_ucoco_384_bs5.torchscript.pt"
    )


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
class TestTorchScript:
    def test_it_runs_without_onnxruntime(self, pair, monkeypatch):
        _forbid(monkeypatch, "onnxruntime")
        network = open_network(pair[0], "cpu", allow_torchscript=True)
        assert network.run(BLANK)[0].shape == (1, 8400, 85)
        assert network.provider == "torch cpu"

    def test_the_estimator_is_fixed_to_batches_of_five(self, pair):
        network = open_network(pair[1], "cpu", allow_torchscript=True)
        x, y = network.run(np.zeros((5, 3, 384, 288), np.float32))
        assert (x.shape, y.shape) == ((5, 133, 576), (5, 133, 768))
        text = message_of(lambda: network.run(np.zeros((1, 3, 384, 288), np.float32)))
        assert text.startswith("dw-ll_ucoco_384_bs5.torchscript.pt fails on a picture of shape (1")

    def test_a_device_that_is_not_there_falls_back(self, pair, caplog):
        with caplog.at_level(logging.WARNING, "animate_anyone"):
            network = open_network(pair[0], "cuda:7", allow_torchscript=True)
        assert network.provider == "torch cpu"
        assert "torch cannot use cuda:7, using the CPU" in caplog.text

    def test_a_released_network_runs_again(self, pair):
        network = open_network(pair[0], "auto", allow_torchscript=True)
        network.release()
        assert network.run(BLANK)[0].shape == (1, 8400, 85)

    def test_a_truncated_file(self, pair, tmp_path):
        path = tmp_path / "cut.pt"
        path.write_bytes(pair[0].read_bytes()[:-500])
        assert message_of(lambda: open_network(path)) == (
            "cut.pt is cut off or damaged. Download it again."
        )

    def test_without_torch_the_message_says_so(self, pair, monkeypatch):
        _forbid(monkeypatch, "torch")
        assert message_of(
            lambda: open_network(pair[0], allow_torchscript=True), MissingDependencyError
        ) == ("yolox_l.torchscript.pt is a TorchScript file and needs torch: `pip install torch`.")


class TestBorders:
    def test_torchscript_is_code_and_runs_only_if_it_is_allowed(self, pair):
        message = message_of(lambda: open_network(pair[0], "cpu"))
        assert message == (
            "yolox_l.torchscript.pt is a TorchScript file: a program, which is run as it is. If you "
            "trust where it comes from, allow it: --allow-torchscript, in ComfyUI "
            "allow_torchscript. An ONNX file needs no permission."
        )

    @pytest.mark.parametrize(
        ("outputs", "message"),
        [
            ({"a": 1}, "must hand over tensors, got dict."),
            ([np.zeros(2), None], "must hand over numbers, its output 1 is NoneType."),
            ([np.array(["a"])], "must hand over numbers, its output 0 is <U1."),
            ([np.zeros(2, complex)], "must hand over numbers, its output 0 is complex128."),
            ([np.array([0.0, np.nan])], "hands over NaN or infinite numbers (output 0)."),
            ([np.zeros(2), np.array([np.inf])], "hands over NaN or infinite numbers (output 1)."),
            (
                [np.broadcast_to(np.float32(0), (2**14, 2**14))],
                "hands over more than 134217728 numbers for a run.",
            ),
        ],
    )
    def test_what_a_network_hands_over_is_looked_at(self, outputs, message):
        assert f"a.onnx {message}" in message_of(lambda: checked_outputs("a.onnx", outputs))

    def test_numbers_pass(self):
        outputs = (np.zeros((1, 2), np.float16), np.ones(3, np.int64), np.zeros(0, np.float32))
        assert checked_outputs("a.onnx", outputs) == list(outputs)
