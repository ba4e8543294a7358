"""Mesh families, what is known of a mesh, and the bank on disk."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy.spatial import cKDTree

from midvision.synth import bank, shapes
from midvision.synth.mesh_facts import corner_normals, stable_rotations, symmetry_deviation


@pytest.mark.parametrize("family", shapes.FAMILIES)
def test_every_family_makes_closed_solids_of_unit_radius_on_the_grid(family: str) -> None:
    for key in bank.bank_keys(family)[:4]:
        mesh = bank.build_mesh(key)
        solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        assert solid.is_watertight, key
        assert all(part.volume > 0 for part in solid.split(only_watertight=False)), key
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(1.0, abs=1e-5)
        assert np.array_equal(mesh.vertices * 2**18, np.rint(mesh.vertices * 2**18))
        assert np.allclose(np.linalg.norm(mesh.corner_normals, axis=-1), 1, atol=1e-5)
        flat = solid.face_normals[:, None] * mesh.corner_normals
        assert (flat.sum(-1) > 0.3).mean() > 0.999, key


@pytest.mark.parametrize("family", shapes.FAMILIES)
def test_rays_from_outside_meet_front_faces_first(family: str) -> None:
    """A solid that is turned inside out, or whose inner wall pokes through, shows its back."""
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(5000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    origins = -3 * ways + rng.uniform(-0.6, 0.6, ways.shape)
    for key in bank.bank_keys(family)[:6]:
        mesh = bank.build_mesh(key)
        scene = EmbreeScene()
        corners = mesh.vertices[mesh.faces]
        TriangleMesh(scene, corners.astype(np.float32))
        triangle = scene.run(origins.astype(np.float32), ways.astype(np.float32))
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        hit = triangle >= 0
        assert hit.mean() > 0.1
        assert ((normal[triangle[hit]] * ways[hit]).sum(1) > 0.02).mean() < 0.003, key


def test_there_are_enough_families_and_held_out_ones_are_disjoint() -> None:
    assert len(shapes.FAMILIES) >= 9
    assert set(shapes.SEEN_FAMILIES).isdisjoint(shapes.HELD_OUT_FAMILIES)
    assert set(shapes.SEEN_FAMILIES) | set(shapes.HELD_OUT_FAMILIES) == set(shapes.FAMILIES)
    assert [len(shapes.families_at(level)) for level in (0, 1, 2)] == [4, 6, len(shapes.SEEN_FAMILIES)]
    assert shapes.families_at(3) == shapes.HELD_OUT_FAMILIES


def test_a_key_holds_its_code_and_building_is_a_pure_function() -> None:
    key = bank.mesh_key("superquadric", np.linspace(0, 1, 8))
    assert bank.family_of(key) == "superquadric"
    assert bank.mesh_key("superquadric", bank.code_of(key)) == key
    first, second = bank.build_mesh(key), bank.build_mesh(key)
    for name in ("vertices", "faces", "corner_normals", "hull", "rest_rotations", "rest_weights"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    with pytest.raises(ValueError, match="takes 8 numbers"):
        bank.mesh_key("superquadric", [0.5])


def test_a_small_step_of_the_code_is_a_small_change_of_the_shape() -> None:
    code = np.array([0.4, 0.6, 0.5, 0.5, 0.6, 0.4, 0.3, 0.2])
    near, far = code.copy(), code.copy()
    near[0] += 0.02
    far[0] += 0.4
    base, small, large = (shapes.build_surface("superquadric", c)[0] for c in (code, near, far))
    to_small, to_large = (cKDTree(other).query(base)[0].max() for other in (small, large))
    assert 0 < to_small < 0.05 < to_large


def test_crease_normals_keep_a_cube_flat_and_a_sphere_round() -> None:
    cube = trimesh.creation.box()
    normals = corner_normals(np.array(cube.vertices), np.array(cube.faces), 30.0)
    assert np.allclose(normals, cube.face_normals[:, None], atol=1e-6)
    sphere = trimesh.creation.icosphere(3)
    normals = corner_normals(np.array(sphere.vertices), np.array(sphere.faces), 60.0)
    assert np.allclose(normals, sphere.vertices[sphere.faces], atol=5e-3)


def test_a_box_rests_on_its_six_faces_and_a_cone_on_base_or_side() -> None:
    box = trimesh.creation.box(extents=(1.0, 0.8, 0.6))
    rotations, weights = stable_rotations(np.array(box.vertices), np.array(box.faces))
    assert len(rotations) == 6
    assert weights.sum() == pytest.approx(1)
    lowest = [np.sort(box.vertices @ rotation.T, axis=0)[:4, 2] for rotation in rotations]
    assert all(np.ptp(corners) < 1e-5 for corners in lowest)
    # A needle standing on its tip end is no rest: the centre of mass projects outside the small face.
    leaning = trimesh.creation.box(extents=(0.2, 0.2, 2.0))
    leaning.vertices[:, 0] += 0.5 * leaning.vertices[:, 2]
    rotations, _ = stable_rotations(np.array(leaning.vertices), np.array(leaning.faces))
    heights = [np.ptp((leaning.vertices @ rotation.T)[:, 2]) for rotation in rotations]
    assert max(heights) < 1.0


@pytest.mark.parametrize("family", ["lathe", "gear", "loft", "compound", "boolean"])
def test_stable_poses_agree_with_an_independent_count(family: str) -> None:
    """Oracle: trimesh's poses; each of its likely ones is among ours, as a direction that ends up down."""
    mesh = bank.build_mesh(bank.bank_keys(family)[3])
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    mine = np.stack([rotation.T @ [0, 0, -1] for rotation in stable_rotations(mesh.vertices, mesh.faces, 10_000)[0]])
    transforms, chances = trimesh.poses.compute_stable_poses(solid, center_mass=_centre(mesh), threshold=0.05)
    for transform in transforms[:3]:
        down = transform[:3, :3].T @ [0, 0, -1]
        assert (mine @ down).max() > 0.999
    assert len(chances) > 0 or len(mine) > 3


def _centre(mesh: bank.Mesh) -> np.ndarray:
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    return ((a + b + c) / 4 * volume[:, None]).sum(0) / volume.sum()


def test_symmetry_tells_a_cylinder_from_a_rock() -> None:
    cylinder = trimesh.creation.cylinder(radius=0.5, height=1.0)
    assert symmetry_deviation(np.array(cylinder.vertices), np.array(cylinder.faces)) < 0.01
    rock = bank.build_mesh(bank.bank_keys("rock")[0])
    assert rock.symmetry > 0.04 and not rock.symmetric


def test_the_bank_is_written_once_read_back_alike_and_mended(tmp_path) -> None:
    built = bank.mesh_bank(("box",), tmp_path)
    (file,) = tmp_path.iterdir()
    stamp = file.stat().st_mtime_ns
    again = bank.mesh_bank(("box",), tmp_path)
    assert file.stat().st_mtime_ns == stamp
    assert built.meshes.keys() == again.meshes.keys() == set(bank.bank_keys("box"))
    for key, mesh in built.meshes.items():
        assert np.array_equal(mesh.vertices, again.get(key).vertices)
        assert np.array_equal(mesh.corner_normals, again.get(key).corner_normals)
        assert mesh.symmetry == again.get(key).symmetry
    file.write_bytes(file.read_bytes()[:1000])
    mended = bank.mesh_bank(("box",), tmp_path)
    key = bank.bank_keys("box")[0]
    assert np.array_equal(mended.get(key).vertices, built.get(key).vertices)
    assert file.stat().st_size > 1000


def test_a_key_outside_the_bank_is_built_when_asked() -> None:
    key = bank.mesh_key("torus", (0.123, 0.456, 0.789))
    assert key not in bank.bank_keys("torus")
    assert bank.get_mesh(key).key == key
