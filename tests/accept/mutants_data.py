"""Small mistakes in reading files that the tests must notice; see `mutants.py`."""

from __future__ import annotations

VOC = "data/test_official_voc.py::test_palette_indices_become_background_objects_and_void"
NYU_AXES = "data/test_official_nyu.py::test_axes_and_metres_of_one_asymmetrical_picture"
NYU_NORMALS = "data/test_official_nyu.py::test_normals_face_the_viewer_in_our_axes_whatever_the_files_signs"
NYU_TRAIN = "data/test_official_nyu.py::test_geonet_gives_back_the_picture_whose_mean_was_subtracted_twice"
NAVI_CODES = "data/test_official_navi.py::test_disparity_codes"
NAVI_POSE = "data/test_official_navi.py::test_a_pose_by_hand"
NAVI_POINT = "data/test_official_navi.py::test_a_known_point_falls_on_a_known_pixel_in_both_views"
NAVI_TURN = "data/test_official_navi.py::test_a_turned_photograph_lies_on_its_depth"
SCANNET_POINT = "data/test_official_scannet.py::test_a_known_point_projects_to_a_known_pixel_in_both_views"
SCANNET_DEPTH = "data/test_official_scannet.py::test_depth_is_millimetres_and_zero_is_missing"
NIGHTS = "data/test_official_nights.py::test_votes_sides_splits_and_categories"
HPATCHES = "data/test_official_matching.py::test_a_homography_counts_pixels_from_the_centre_of_the_first"
ARCHIVES = "data/test_archives.py"
PICKLES = "data/test_plain_pickle.py"
RENAMES = "zoo/test_library_renames.py"
THREADS = "extraction/test_threads.py"
RELAY = "run/test_executors.py"
PREVIEW = "report/test_report_preview.py"

READERS: tuple[tuple[str, str, str, str], ...] = (
    ("data/sets/voc.py", "VOID = 255", "VOID = 254", VOC),
    ("data/sets/voc.py", "~framing.target(void)", "framing.target(void)", VOC),
    ("data/nyu_files.py", '["images"][index].transpose(2, 1, 0)', '["images"][index].transpose(1, 2, 0)', NYU_AXES),
    (
        "data/nyu_files.py",
        'check_metres(file["rawDepths"][index].T,',
        'check_metres(file["rawDepths"][index],',
        NYU_AXES,
    ),
    (
        "data/nyu_frames.py",
        "return check_metres(window_of(path, 2)",
        "return check_metres(window_of(path, 2) / 10",
        NYU_AXES,
    ),
    ("data/nyu_files.py", '.split(".")[0]) - 1 for entry', '.split(".")[0]) for entry', NYU_AXES),
    ("data/nyu_files.py", "return SIGNS[best], float", "return SIGNS[0], float", NYU_NORMALS),
    ("data/nyu_files.py", "GEONET_MEAN = 2 * np", "GEONET_MEAN = 1 * np", NYU_TRAIN),
    ("data/navi_files.py", "DISPARITY_UNITS = 65535 * 10", "DISPARITY_UNITS = 65535 * 100", NAVI_CODES),
    ("data/navi_files.py", "dtype=torch.float64) / 1000.0", "dtype=torch.float64) / 100.0", NAVI_POSE),
    ("data/navi_files.py", "pose[:3, :3] = quaternion", "pose[:3, :3] = -quaternion", NAVI_POSE),
    (
        "data/navi_files.py",
        'quaternion_wxyz_to_rotation(q, f"{name} in {what}")',
        'quaternion_wxyz_to_rotation(q, f"{name} in {what}").T',
        NAVI_POINT,
    ),
    ("data/sets/scannet.py", "DEPTH_SCALE = 1000.0", "DEPTH_SCALE = 5000.0", SCANNET_DEPTH),
    (
        "data/sets/scannet.py",
        'poses = {(s, f): read_pose(copy.path(f"{s}/pose/{f}.txt"), "world_from_camera")',
        'poses = {(s, f): read_pose(copy.path(f"{s}/pose/{f}.txt"), "camera_from_world")',
        SCANNET_POINT,
    ),
    ("data/sets/triplets.py", "left, right, votes = (float", "right, left, votes = (float", NIGHTS),
    ("data/sets/triplets.py", "if votes >= least]", "if votes > least]", NIGHTS),
    ("data/sets/hpatches.py", "CENTRE = 0.0", "CENTRE = 0.5", HPATCHES),
)

HOSTILE: tuple[tuple[str, str, str, str], ...] = (
    ("data/archives.py", 'or ".." in parts or', "or", ARCHIVES),
    ("data/archives.py", 'if plain.startswith("/") or', "if", ARCHIVES),
    ("data/trees.py", "if member.issparse():", "if False:", ARCHIVES),
    ("data/trees.py", "if held > ALL_KEPT_IN_MEMORY:", "if False:", ARCHIVES),
    ("data/trees.py", "if here in above:", "if False:", ARCHIVES),
    ("data/trees.py", 'if target.startswith("/") or', "if", ARCHIVES),
    ("data/trees.py", 'member.name if member.issym() else ""', "member.name", ARCHIVES),
    ("data/tar_members.py", "if member.size < 0 or", "if", ARCHIVES),
    ("data/tar_members.py", "member.size > LONGEST_NAME", "member.size > 2**40", ARCHIVES),
    ("data/prepare.py", "seen.get(name.casefold())", "seen.get(name)", ARCHIVES),
    ("data/prepare.py", 'any("\\ud800" <= letter', 'any("\\udfff" < letter', ARCHIVES),
    ("data/plain_pickle.py", "if not isinstance(self.stack[-2], ArrayRecord | NumberType):", "if False:", PICKLES),
    ("data/plain_pickle.py", "*(RecursionError, MemoryError, OverflowError),", "", PICKLES),
    ("data/plain_arrays.py", "if id(content) not in seen:", "if True:", PICKLES),
)

SHOWN: tuple[tuple[str, str, str, str], ...] = (
    ("report/preview_facts.py", "(values[2] < 0)", "(values[2] > 0)", PREVIEW),
    ("report/preview_facts.py", "(values[1] < -0.8)", "(values[1] > 0.8)", PREVIEW),
    ("report/preview_facts.py", "1.0 - float(known", "float(known", PREVIEW),
    ("report/preview_facts.py", "seen &= b.valid[0, row, column]", "seen &= seen", PREVIEW),
    ("report/preview.py", "z = -np.sqrt(", "z = np.sqrt(", PREVIEW),
    ("tasks/seen.py", 'far = None if scoring.range_m == "train" else', "far = None if True else", PREVIEW),
    ("tasks/seen.py", "target.values, scored_pixels(target, scoring)", "target.values, target.valid", PREVIEW),
)

READ_AHEAD: tuple[tuple[str, str, str, str], ...] = (
    ("encoders/timm_weights.py", "data_ptr() not in given}", "data_ptr() == -1}", RENAMES),
    ("encoders/timm_weights.py", "keys = bias.chunk(3)[1]", "keys = bias.chunk(3)[0]", RENAMES),
    ("encoders/timm_weights.py", '"q_bias" in found else bias', '"q_bias" in found else bias[:0]', RENAMES),
    ("extraction/extract.py", "popleft().result()\n        while", "pop().result()\n        while", THREADS),
    ("extraction/extract.py", "pool.shutdown(cancel_futures=True)", "pass", THREADS),
    ("core/threads.py", "if threads < 2:", "if True:", THREADS),
    ("run/relay.py", 'self._tell("step", name, waiting)\n            self._tell("close"', 'self._tell("close"', RELAY),
)

READING = (*READERS, *HOSTILE, *SHOWN, *READ_AHEAD)
