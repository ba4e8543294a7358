"""From a ViT-B/16 checkpoint on disk to first features: `python benchmarks/load.py [REPEATS]`.

Two programs, each in fresh processes whose imports are done before the clock starts: midvision through a public id,
and timm alone (`create_model`, `load_state_dict` on the same file, one forward pass). Prints the ratio of the
fastest times of each (limit 1.5), and midvision's peak memory above the process after its imports, in sizes of the
file (limit 2.2), for a torch file and for safetensors. The files are fabricated and in the page cache; midvision's
time includes the checksum that names the features. Exits with 1 above a limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

TIME_LIMIT, MEMORY_LIMIT = 1.5, 2.2
SIZE = 224

_METER = """
import json, os, re, sys, time
import torch
path, size = sys.argv[1], int(sys.argv[2])
images = torch.rand(1, 3, size, size)

def status(field):
    return int(re.search(field + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024

def measured(work):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, started = status("VmRSS"), time.perf_counter()
    shape = work()
    print(json.dumps({"s": time.perf_counter() - started, "peak": status("VmHWM") - before, "shape": list(shape)}))
"""
_MIDVISION = (
    _METER
    + """
import midvision as mv
import midvision.encoders.ask, midvision.encoders.timm_weights, midvision.zoo.load, midvision.zoo.read
import safetensors.torch, timm, warnings
warnings.simplefilter("ignore")

def work():
    encoder = mv.load_model("dino_vitb16", weights=path)
    return mv.features(encoder, images).maps[-1].shape

measured(work)
"""
)
_TIMM = (
    _METER
    + """
import safetensors.torch, timm

def state():
    if path.endswith(".safetensors"):
        return safetensors.torch.load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)

def work():
    network = timm.create_model("vit_base_patch16_224", num_classes=0).eval()
    network.load_state_dict(state())
    with torch.inference_mode():
        return network(images).shape

measured(work)
"""
)


def fabricate(path: Path) -> None:
    """A bare ViT-B/16 checkpoint with random weights, in the container that the name asks for."""
    import timm
    import torch
    from safetensors.torch import save_file

    state = timm.create_model("vit_base_patch16_224", num_classes=0).state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)


def once(program: str, path: Path) -> dict[str, float]:
    """One fresh process; its seconds and its peak bytes above the start."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), str(SIZE)], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(path: Path, repeats: int) -> bool:
    """Alternating runs of both programs on one file; whether both limits hold."""
    fabricate(path)
    size = path.stat().st_size
    runs = [(once(_TIMM, path), once(_MIDVISION, path)) for _ in range(repeats)]
    theirs, ours = (min(pair[which]["s"] for pair in runs) for which in (0, 1))
    their_peak, our_peak = (max(pair[which]["peak"] for pair in runs) / size for which in (0, 1))
    print(f"{path.name}, {size / 2**20:.0f} MiB, {repeats} runs of each, alternating, {SIZE} px, fastest of each:")
    print(f"  timm      {theirs:6.2f} s  peak {their_peak:.2f} files")
    print(f"  midvision {ours:6.2f} s  peak {our_peak:.2f} files (limit {MEMORY_LIMIT})")
    print(f"  ratio     {ours / theirs:6.2f}    (limit {TIME_LIMIT})")
    return ours <= TIME_LIMIT * theirs and our_peak <= MEMORY_LIMIT


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        held = [compare(Path(folder) / name, repeats) for name in ("vitb16.pth", "vitb16.safetensors")]
    return int(not all(held))


if __name__ == "__main__":
    raise SystemExit(main())
