"""Small mistakes that the tests must notice: one changed line each, and the tests that look there.

`old` occurs exactly once in its file. None is equivalent: every one changes a number, an order or a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass

from mutants_data import READING


@dataclass(frozen=True, slots=True)
class Mutant:
    """`path` below the package, the text to replace, and pytest node ids below the tests."""

    path: str
    old: str
    new: str
    tests: str


WRITTEN_OUT = "analysis/test_resample.py::test_agrees_with_every_draw_written_out"
CORRELATE = "analysis/test_correlate.py"
STUDY = "analysis/test_study.py"
LOOKUP = "geometry/test_lookup.py"
CAMERA = "geometry/test_geometry_camera.py"
POSE = "geometry/test_geometry_pose.py"
DEPTH = "metrics/test_metrics_depth.py"
NORMALS = "metrics/test_metrics_normals.py"
MASKS = "metrics/test_metrics_masks.py"
BOUNDARIES = "metrics/test_metrics_boundaries.py"
HIGH = "results/test_high_level.py"
MATCHES = "metrics/test_metrics_matches.py"
CHOICES = "metrics/test_metrics_choices.py"
DENSE = "tasks/test_tasks_dense.py"
PAIRS = "tasks/test_tasks_pairs.py"
TRIPLETS = "tasks/test_tasks_triplets.py"
DECISIONS = "contracts/test_decisions_scoring.py"
RIDGE = "probes/test_ridge.py"
LABELS = "probes/test_label_readout.py"
TRUTH = "probes/test_truth.py"
FEATURES = "extraction/test_features_source.py"
SHARING = "extraction/test_cache_sharing.py"
NEAREST = "extraction/test_nearest.py"
FAILURES = "run/test_failures.py"
STORED = "run/test_passes.py::test_stored_results_are_not_computed_again"
PLAN = "run/test_run_plan.py"
RECORD = "results/test_record.py"
FAIR = "synth/test_suite_pairs.py"
EDITS = "synth/test_suite_triplets.py"
FETCH = "zoo/test_fetch_http.py"
CARD_FILES = "zoo/test_fetch_cards.py"
STRAY = "zoo/test_stray.py"
SHAPES = "zoo/test_shapes.py"
COST = "encoders/test_cost.py"
COST_CARDS = "run/test_cost_cards.py"

GEOMETRY = (
    Mutant("geometry/lookup.py", "(pixels - grid.first_centre[axis])", "(pixels + grid.first_centre[axis])", LOOKUP),
    Mutant("geometry/lookup.py", "dtype=torch.float64) + 0.5) * (grid", "dtype=torch.float64) + 0.0) * (grid", LOOKUP),
    Mutant("geometry/lookup.py", "(xy[:, 0] - grid.first_centre[1])", "(xy[:, 1] - grid.first_centre[1])", LOOKUP),
    Mutant("geometry/lookup.py", "flat[row * grid.size[1] + column]", "flat[row * grid.size[0] + column]", LOOKUP),
    Mutant("geometry/lookup.py", "(cells < length)", "(cells <= length)", LOOKUP),
    Mutant("geometry/lookup.py", "torch.where(weight > 0, values", "torch.where(weight >= 0, values", LOOKUP),
    Mutant("geometry/lookup.py", "torch.floor(position + 0.5)", "torch.floor(position)", LOOKUP),
    Mutant("geometry/lookup.py", 'return grid if centres == "true"', 'return grid if centres != "true"', LOOKUP),
    Mutant(
        "geometry/lookup.py",
        "grid.stride[0] > target.stride[0] * 1.001 or",
        "grid.stride[0] > target.stride[0] * 1.001 and",
        LOOKUP,
    ),
    Mutant("geometry/camera.py", "moved[0, 2] -= left", "moved[0, 2] -= top", CAMERA),
    Mutant("geometry/camera.py", "scaled[0] *= sx", "scaled[0] *= sy", CAMERA),
    Mutant("geometry/camera.py", "torch.where(z > 0,", "torch.where(z != 0,", CAMERA),
    Mutant("geometry/camera.py", "crop_K(K, -d, -d)", "crop_K(K, d, d)", CAMERA),
    Mutant("geometry/camera.py", "device=like.device) + 0.5\n    x", "device=like.device)\n    x", CAMERA),
    Mutant("geometry/pose.py", "-(R @ b_from_a[:3, 3])", "(R @ b_from_a[:3, 3])", POSE),
    Mutant("geometry/pose.py", "return c_from_b @ b_from_a", "return b_from_a @ c_from_b", POSE),
    Mutant("geometry/pose.py", "xyz @ T[:3, :3].T + T", "xyz @ T[:3, :3] + T", POSE),
    Mutant("geometry/pose.py", "float(torch.linalg.det(R)) < 0", "float(torch.linalg.det(R)) < -2", POSE),
    Mutant("geometry/pose.py", "2 * (x * y - w * z)", "2 * (x * y + w * z)", POSE),
)

METRICS = (
    Mutant("metrics/depth.py", "torch.maximum(t / floored", "torch.minimum(t / floored", DEPTH),
    Mutant("metrics/depth.py", "ratio < 1.25**k", "ratio <= 1.25**k", DEPTH),
    Mutant("metrics/depth.py", "(p - t).abs() / t", "(p - t).abs() / p", DEPTH),
    Mutant("metrics/align.py", "y.mean() - scale * x.mean()", "y.mean() + scale * x.mean()", DEPTH),
    Mutant(
        "metrics/align.py",
        "prediction[valid].double(), target[valid].double()",
        "prediction.flatten().double(), target.flatten().double()",
        DEPTH,
    ),
    Mutant("metrics/normals.py", "error < limit", "error <= limit", NORMALS),
    Mutant("metrics/normals.py", "ordered[-middle - 1]", "ordered[middle]", NORMALS),
    Mutant("metrics/masks.py", "int(p.sum()) - both, int(t.sum())", "int(t.sum()) - both, int(p.sum())", MASKS),
    Mutant("metrics/masks.py", "beta2 * counts.false_negative + ", "counts.false_negative + beta2 * ", MASKS),
    Mutant("metrics/matches.py", "errors < threshold", "errors <= threshold", MATCHES),
    Mutant("metrics/matches.py", "(len(a_in_b) * len(b))", "(len(seen) * len(b))", MATCHES),
    Mutant("metrics/matches.py", "low <= angle_deg < high", "low < angle_deg <= high", MATCHES),
    Mutant("metrics/keypoints.py", "norm(dim=1) <= radius_px", "norm(dim=1) < radius_px", MATCHES),
    Mutant("metrics/choices.py", "similarity_right > similarity_left", "similarity_right < similarity_left", CHOICES),
    Mutant("metrics/choices.py", "(1.0 - choice) * (1.0 - right_share)", "(1.0 - choice) * right_share", CHOICES),
    Mutant("metrics/labels.py", "(k - above) / equal", "(k - above + 1) / equal", CHOICES),
    Mutant("metrics/reduce.py", "np.isfinite(above) & ", "", "metrics/test_reduce.py"),
)

TASKS = (
    Mutant(
        "tasks/pairs.py",
        'offset = BLOCK // 2 if scoring.block_sample == "centre" else 0\n',
        'offset = BLOCK // 2 - 1 if scoring.block_sample == "centre" else 0\n',
        PAIRS,
    ),
    Mutant(
        "tasks/pairs.py",
        "compose(item.b.camera_from_world.double(), invert(item.a.camera_from_world.double()))",
        "compose(item.a.camera_from_world.double(), invert(item.b.camera_from_world.double()))",
        PAIRS,
    ),
    Mutant("tasks/pairs.py", "descending=True", "descending=False", PAIRS),
    Mutant("tasks/pairs.py", "limit * BLOCK for name, limit in limits.q", "limit for name, limit in limits.q", PAIRS),
    Mutant(
        "tasks/pairs.py",
        "[width / frame_size[1], height / frame_size[0]]",
        "[height / frame_size[0], width / frame_size[1]]",
        PAIRS,
    ),
    Mutant("tasks/pairs.py", 'self_pairs == "drop" and', 'self_pairs == "keep" and', DECISIONS),
    Mutant("tasks/pairs.py", "cartesian_prod(y, x).flip(1)", "cartesian_prod(y, x)", PAIRS),
    Mutant("tasks/pairs.py", "& (depth_m > 0)", "& (depth_m >= 0)", PAIRS),
    Mutant("tasks/pairs.py", "row = unit.images.index(image)", "row = 0", PAIRS),
    Mutant(
        "tasks/triplets.py",
        "reference @ row[item.left]), float(reference @ row[item.right])",
        "reference @ row[item.right]), float(reference @ row[item.left])",
        TRIPLETS,
    ),
    Mutant("tasks/triplets.py", '("kind") == NUISANCE', '("kind") == "subset"', TRIPLETS),
    Mutant(
        "tasks/triplets.py",
        "normalize(pooled_of(item.reference, features.pooled).double(), dim=1)",
        "pooled_of(item.reference, features.pooled).double()",
        TRIPLETS,
    ),
    Mutant("metrics/boundaries.py", "right |= own_right", "right = own_right", BOUNDARIES),
    Mutant("metrics/boundaries.py", "smooth > ahead + slack", "smooth >= ahead - slack", BOUNDARIES),
    Mutant("metrics/boundaries.py", "truth + predicted / hits", "truth + predicted", BOUNDARIES),
    Mutant("tasks/labels.py", "1.0 / sizes[item.label]", "1.0", TRIPLETS),
    Mutant("results/high_level.py", "!= card.default_weights", '== "never"', HIGH),
    Mutant("results/high_level.py", 'if model.get("weights"):', "if False:", HIGH),
    Mutant("tasks/labels.py", "item.label == majority", "item.label != majority", TRIPLETS),
    Mutant("tasks/labels.py", "(logits, item.label, 5)", "(logits, item.label, 1)", TRIPLETS),
    Mutant("tasks/dense.py", "judge([flat] * len(batch), targets)", "judge(predictions, targets)", DENSE),
    Mutant("tasks/dense.py", "maps[rows[item.image]]", "maps[0]", DENSE),
    Mutant("tasks/depth.py", "valid & (values <= far)", "valid", DENSE),
    Mutant("tasks/depth.py", "target.valid & (target.values > 0)", "target.valid", DENSE),
    Mutant("tasks/depth.py", "near * (1 - MARGIN)", "near * (1 + MARGIN)", DENSE),
    Mutant("tasks/depth.py", "limits if scoring.aligned_clip", "limits if not scoring.aligned_clip", DECISIONS),
    Mutant("tasks/normals.py", "scored & ~target.edge", "scored & target.edge", DENSE),
    Mutant("tasks/segmentation.py", "(foreground | ~target.valid)", "(foreground | target.valid)", DECISIONS),
    Mutant("tasks/segmentation.py", "1.0 / len(counts)", "1.0", DECISIONS),
    Mutant("tasks/scoring.py", "            check_features(image, one)\n", "", TRIPLETS),
    Mutant("tasks/scoring.py", "if self._left[image] == 0:", "if self._left[image] < 0:", "contracts/test_tasks.py"),
)

PROBES = (
    Mutant("probes/solve.py", "(pair[0], -pair[1])", "(pair[0], pair[1])", RIDGE),
    Mutant("probes/solve.py", "total.gram - held.gram", "total.gram", RIDGE),
    Mutant("probes/solve.py", "targets.squares - 2 * agreement", "targets.squares - agreement", RIDGE),
    Mutant("probes/solve.py", "alpha=-1", "alpha=1", RIDGE),
    Mutant("probes/gram.py", "x * weight.sqrt()[:, None]", "x * weight[:, None]", RIDGE),
    Mutant("probes/closed_form.py", "item.image: item.group if", "item.image: item.image if", RIDGE),
    Mutant("probes/closed_form.py", "(x - self.fit.mean) / self.fit.scale", "(x - self.fit.mean)", RIDGE),
    Mutant("probes/closed_form_labels.py", "_statistics(x[~held_out])", "_statistics(x[held_out])", LABELS),
    Mutant("probes/closed_form_labels.py", "+ 0.5 * penalty *", "+ 5.0 * penalty *", LABELS),
    Mutant("probes/closed_form_labels.py", "item.group in chosen", "item.group not in chosen", LABELS),
    Mutant("probes/label_ridge.py", "curve = ~held_out", "curve = held_out", LABELS),
    Mutant("probes/label_ridge.py", "sums.xx / sums.count", "sums.xx", LABELS),
    Mutant("probes/label_neighbours.py", "near[:, :1]) / self.temperature", "near[:, :1])", LABELS),
    Mutant("probes/label_neighbours.py", "place + part.start", "place", LABELS),
    Mutant("probes/label_neighbours.py", "0.5 * means.square()", "means.square()", LABELS),
    Mutant("probes/truth.py", "torch.ones_like(values)).log()", "torch.ones_like(values)).log2()", RIDGE),
    Mutant("probes/truth.py", "chosen & ~target.edge", "chosen & target.edge", TRUTH),
)

EXTRACTION = (
    Mutant(
        "extraction/source.py",
        "missing = self._missing(order)",
        "missing = list(order)",
        f"{FEATURES}::test_each_picture_goes_through_once_cold_and_never_hot",
    ),
    Mutant("extraction/source.py", "values[done:stop] for values", "values[: stop - done] for values", FEATURES),
    Mutant("extraction/cache.py", "if any((part.name", "if all((part.name", FEATURES),
    Mutant(
        "extraction/cache.py",
        "if path in held or (not mine",
        "if (not mine",
        f"{SHARING}::test_what_an_open_source_still_reads_stays_even_over_the_limit",
    ),
    Mutant("extraction/cache.py", "now - status.st_mtime < IN_USE", "now - status.st_mtime > IN_USE", SHARING),
    Mutant(
        "extraction/cache.py", "stable_hash(encoder.key) / plan_key(plan)", 'stable_hash("") / plan_key(plan)', FEATURES
    ),
    Mutant("extraction/key.py", '"pixel_mean", ', "", FEATURES),
    Mutant("extraction/key.py", '"input_size", ', "", FEATURES),
    Mutant("extraction/key.py", "layer{layer.index:03d}", "layer", FEATURES),
    Mutant("extraction/shard.py", " or zlib.crc32(data) != self.sums[row]", "", FEATURES),
    Mutant("extraction/shard.py", "self.offset + row * length", "self.offset", FEATURES),
    Mutant("extraction/extract.py", "start += len(pictures)", "start += 0", FEATURES),
    Mutant("extraction/budget.py", "room = min(limit_bytes", "room = max(limit_bytes", FEATURES),
    Mutant("extraction/nearest.py", "(values.shape[1], 0, -1", "(0, values.shape[1], 1", NEAREST),
    Mutant("extraction/nearest.py", "found.values[close, 1] - DOUBT", "found.values[close, 1] + DOUBT", NEAREST),
    Mutant("extraction/nearest.py", "(gaps >= -DOUBT)", "(gaps >= DOUBT)", NEAREST),
)

RESUME = (
    Mutant("run/local.py", "read(stored[unit.key]) if unit.key in stored else None", "None", STORED),
    Mutant("run/local.py", '{} if options.overwrite == "always"', '{} if options.overwrite == "never"', PLAN),
    Mutant("run/local.py", "or unit.key not in failed", "or unit.key in failed", FAILURES),
    Mutant("run/plan.py", "keys[model.id], *prints", "keys[model.id]", PLAN),
    Mutant("run/plan.py", "keys[model.id], *prints", "*prints", FAILURES),
    Mutant("run/plan.py", "canonical(), protocol.canonical(), keys", "canonical(), keys", PLAN),
    Mutant("run/plan.py", "name = (task.content, split, ", "name = (task.content, ", PLAN),
    Mutant("run/plan.py", "            str(unit.protocol.train.shuffle),\n", "", PLAN),
    Mutant("run/plan.py", 'spec.data.preset == "tiny"', 'spec.data.preset != "tiny"', PLAN),
    Mutant("run/guard.py", "[where.index(layer.index) for layer in plan.layers]", "[*range(len(plan.layers))]", PLAN),
    Mutant(
        "run/guard.py", "            for member in self.members:", "            for member in self.members[:1]:", PLAN
    ),
    Mutant("results/record.py", "if not (final / RESULT).is_file():", "if not final.is_file():", RECORD),
    Mutant(
        "results/record.py",
        "for path in record_paths(output) if path.name == RESULT}",
        "for path in record_paths(output)}",
        RECORD,
    ),
    Mutant("results/record.py", 'if not name.startswith("."))', ")", RECORD),
    Mutant("results/record.py", "left.stat().st_mtime > STALE_SECONDS", "left.stat().st_mtime > 0", RECORD),
    Mutant("results/record.py", "value if math.isfinite(value) else None", "value", RECORD),
)

SYNTHETIC = (
    Mutant(
        "synth/pairs.py",
        "b.camera_from_frame @ np.linalg.inv(a.camera_from_frame)",
        "a.camera_from_frame @ np.linalg.inv(b.camera_from_frame)",
        FAIR,
    ),
    Mutant("synth/pairs.py", "facing_b = -(normals", "facing_b = (normals", FAIR),
    Mutant("synth/pairs.py", "[columns + 0.5, rows + 0.5", "[rows + 0.5, columns + 0.5", FAIR),
    Mutant("synth/pairs.py", "upper * (1 - dv) + lower * dv", "upper * dv + lower * (1 - dv)", FAIR),
    Mutant("synth/pairs.py", "return min(self.share_a", "return max(self.share_a", FAIR),
    Mutant("synth/pairs.py", "borders[i] <= angle_deg < borders", "borders[i] < angle_deg <= borders", FAIR),
    Mutant("synth/pairs.py", "(z > 0) & near & facing_b", "(z > 0) & facing_b", FAIR),
    Mutant("synth/pairs.py", "if angle >= SCENE_BINS[-2]", "if angle < SCENE_BINS[-2]", FAIR),
    Mutant("synth/pairs.py", "np.log1p(counts)", "np.asarray(counts)", FAIR),
    Mutant("synth/pairs.py", "and taken < per_bin", "and taken <= per_bin", FAIR),
    Mutant("synth/variations.py", '(alone, far, near, "subset"', '(alone, near, far, "subset"', EDITS),
    Mutant("synth/variations.py", "(number + index) % 2 == 0", "(number + index) % 2 == 2", EDITS),
    Mutant("synth/variations.py", "(nuisance, -NUISANCE_STEPS)", "(nuisance, NUISANCE_STEPS)", EDITS),
    Mutant("synth/variations.py", "lowest_m(before) - lowest_m(thing)", "lowest_m(thing) - lowest_m(before)", EDITS),
    Mutant("synth/variations.py", "focus - moved[:3, :3] @ focus", "moved[:3, :3] @ focus", EDITS),
    Mutant("synth/variations.py", "steps * STEPS[factor]", "steps", EDITS),
)

ZOO = (
    Mutant("zoo/fetch_http.py", '{"Range": f"bytes={self.size}-",', '{"Range": f"bytes={self.size + 1}-",', FETCH),
    Mutant("zoo/fetch_http.py", '**({"If-Range": same} if same else {})', "", FETCH),
    Mutant("zoo/fetch_http.py", "return start == self.size and", "return", FETCH),
    Mutant("zoo/fetch_http.py", 'facts.get("url") == url else', 'facts.get("url") else', FETCH),
    Mutant("zoo/fetch_http.py", "not found.startswith(sha256.lower())", "found.startswith(sha256.lower())", FETCH),
    Mutant("zoo/fetch_http.py", "if not continued:", "if continued:", FETCH),
    Mutant("zoo/fetch_http.py", "fruitless = 0 if part.size > most", "fruitless = 0 if part.size >= most", FETCH),
    Mutant("zoo/fetch_http.py", "if answer.status_code != 206:", "if answer.status_code == 206:", FETCH),
    Mutant("zoo/fetch_http.py", "etag if etag.startswith('\"')", 'etag if etag.startswith("W")', FETCH),
    Mutant("zoo/fetch_http.py", "code == 429 or code >= 500", "code == 429 and code >= 500", FETCH),
    Mutant("zoo/fetch_http.py", "and not zipfile.is_zipfile(path)", "and zipfile.is_zipfile(path)", FETCH),
    Mutant("zoo/fetch.py", "stable_hash(source.url)[:8]}-", "stable_hash(source.url)[:0]}-", CARD_FILES),
    Mutant("zoo/fetch.py", "if given.matches is False:", "if given.matches is None:", CARD_FILES),
    Mutant("zoo/fetch.py", "for url in () if offline() else (", "for url in () if not offline() else (", CARD_FILES),
    Mutant(
        "zoo/stray.py", "least = min(state, place.state, key=len)", "least = max(state, place.state, key=len)", STRAY
    ),
    Mutant(
        "zoo/stray.py",
        'if _same(found, place.state) or _same(found, fit_state(place.state, wanted, str(path), "", as_timm)):',
        "if True:",
        STRAY,
    ),
    Mutant("zoo/stray.py", "chosen = choice if len(sets) > 1 else None", "chosen = None", STRAY),
    Mutant("zoo/likely.py", "(supervised or ranked) if classified else", "ranked if classified else", STRAY),
    Mutant("zoo/shapes.py", "(isqrt(table[0]) + 1) // 2", "isqrt(table[0]) // 2", SHAPES),
    Mutant("zoo/shapes.py", "groups = middle[0] // middle[1]", "groups = middle[1] // middle[0]", SHAPES),
    Mutant("zoo/shapes.py", "!= patches[:1]:", "== patches[:1]:", SHAPES),
    Mutant("encoders/cost.py", "last.grid.size[0] * last.grid.size[1]", "last.grid.size[0]", COST),
    Mutant("encoders/cost.py", "_weights_bytes(network) + memory.most", "memory.most", COST),
    Mutant("encoders/cost.py", "if not entry[0].expired()}", "}", COST),
    Mutant("encoders/cost.py", "self.images += images", "self.images = images", COST),
    Mutant("run/cost.py", "speed.images_per_s > card.speed.images_per_s", "speed.images_per_s > 0", COST_CARDS),
    Mutant("run/cost.py", 'return card.speed is None or source == "timed"', "return True", COST_CARDS),
    Mutant("run/cost.py", "structure_key(encoder), str(size)", "structure_key(encoder)", COST_CARDS),
)

ANALYSIS = (
    Mutant("analysis/clusters.py", "(self.clusters - 1) / self.clusters", "1.0", WRITTEN_OUT),
    Mutant(
        "analysis/clusters.py",
        "below, over = max(reach, below), max(reach, over)",
        "below, over = max(reach, over), max(reach, below)",
        WRITTEN_OUT,
    ),
    Mutant(
        "analysis/clusters.py", "float(self.effective[picked].min()) - 1.0", "float(self.clusters) - 1.0", WRITTEN_OUT
    ),
    Mutant(
        "analysis/correlate.py", "stdtrit(n - 2 - labels,", "stdtrit(n - 1,", f"{CORRELATE}::test_interval_written_out"
    ),
    Mutant(
        "analysis/correlate.py",
        "if r.low <= 0 <= r.high or not _t_test(",
        "if r.low <= 0 <= r.high and not _t_test(",
        f"{CORRELATE}::test_r_squared_is_one_sided_at_zero",
    ),
    Mutant(
        "analysis/ranks.py",
        "1 + beaten_by[name], len(order) - beats[name]",
        "1 + beaten_by[name], len(order)",
        "analysis/test_ranks.py::test_planted_groups_share_ranks",
    ),
    Mutant(
        "analysis/groups.py",
        'word = "ordered" if gain.value > 0 else "reversed"',
        'word = "ordered"',
        f"{STUDY}::test_verdicts_ranks_and_references",
    ),
    Mutant(
        "analysis/shares.py",
        "[entry.name, yardstick.name] if table.metric.higher_is_better",
        "[entry.name, yardstick.name] if not table.metric.higher_is_better",
        f"{STUDY}::test_shares_are_exact_without_noise",
    ),
    Mutant(
        "analysis/paradigms.py",
        "centred = y - (np.bincount(layers, y) / counts)[layers]",
        "centred = y - y.mean()",
        f"{STUDY}::test_architecture_alone_is_no_paradigm_effect",
    ),
    Mutant(
        "analysis/variance.py",
        "float(np.mean(squares)) / 2",
        "float(np.mean(squares))",
        f"{STUDY}::test_planted_variances_come_back",
    ),
    Mutant(
        "analysis/claims.py",
        "if any(all(_better(table, name, other) for other in others)",
        "if any(any(_better(table, name, other) for other in others)",
        "analysis/test_findings.py::test_every_claim_gets_the_planted_verdict",
    ),
    Mutant(
        "report/difference.py",
        'better=difference.better if p <= ALPHA else ""',
        "better=difference.better",
        "report/test_report_numbers.py::test_several_comparisons_share_one_chance_of_error",
    ),
)

DATA = tuple(Mutant(*row) for row in READING)

MUTANTS = (*DATA, *ZOO, *GEOMETRY, *METRICS, *TASKS, *PROBES, *EXTRACTION, *RESUME, *SYNTHETIC, *ANALYSIS)
