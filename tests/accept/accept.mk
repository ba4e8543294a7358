# The long proofs, one target per line of the acceptance list. Each has a scaled-down twin in the suite.
PROVE = $(BIN)/python -m pytest -s --no-header -m "accept or not accept"
PROOFS = demo renderer controls ridge overfit protocols alignment realdata cache invariance intervals report mutations light \
         zoo-files zoo-cards zoo-load zoo-hostile zoo-fetch zoo-inspect zoo-cost families \
         data-truth data-broken data-kills data-real data-sets statistics findings training docs study-report \
         labels decisions data-speed data-memory study ray

.PHONY: accept $(PROOFS:%=accept-%)
accept: $(PROOFS:%=accept-%)
$(PROOFS:%=accept-%): $(VENV)/installed-dev

accept-demo:        ; $(BIN)/python tests/accept/fresh_demo.py
accept-renderer:    ; $(BIN)/python benchmarks/render.py && $(PROVE) tests/synth
accept-controls:    ; $(PROVE) tests/accept/test_controls_small.py
accept-ridge:       ; $(PROVE) tests/probes -k "ridge or closed"
accept-overfit:     ; $(PROVE) tests/accept/test_overfit.py
accept-protocols:   ; $(PROVE) tests/contracts -k decisions
accept-alignment:   ; $(PROVE) tests/accept/test_alignment_encoders.py tests/data/test_alignment.py
accept-realdata:    ; $(PROVE) tests/accept/test_realdata_tasks.py
accept-cache:       ; $(PROVE) tests/extraction tests/run/test_passes.py
accept-invariance:  ; $(PROVE) tests/accept/test_killed.py tests/run/test_invariance.py
accept-intervals:   ; $(PROVE) tests/analysis/test_resample.py tests/analysis/test_ranks.py
accept-report:      ; $(PROVE) tests/browser
accept-mutations:   ; $(BIN)/python tests/accept/mutations.py
accept-light:       ; $(PROVE) tests/contracts/test_rooms.py tests/cli -k "light or help or rooms or doors or short"
accept-zoo-files:   ; $(PROVE) tests/accept/test_zoo_files.py tests/zoo/test_published_cases.py
accept-zoo-cards:   ; $(PROVE) tests/accept/test_zoo_beyond.py tests/zoo/test_cards_beyond.py tests/zoo/test_cards.py
accept-zoo-load:    ; $(BIN)/python benchmarks/load.py
accept-zoo-hostile: ; $(PROVE) tests/zoo/test_hostile_files.py tests/zoo/test_read.py
accept-zoo-fetch:   ; $(PROVE) tests/zoo/test_fetch_http.py tests/zoo/test_fetch_cards.py tests/cli/test_models_commands.py
accept-zoo-inspect: ; $(PROVE) tests/zoo/test_stray.py tests/zoo/test_shapes.py
accept-zoo-cost:    ; $(PROVE) tests/encoders/test_cost.py tests/run/test_cost_cards.py tests/report/test_report_cost.py
accept-families:    ; $(PROVE) tests/accept/test_families.py tests/contracts/test_families_small.py
accept-data-broken: ; $(PROVE) tests/data/test_broken_copies.py tests/data/test_archives.py tests/data/test_plain_pickle.py tests/data/test_prepare.py
accept-data-kills:  ; $(PROVE) tests/accept/test_data_kills.py
accept-data-truth:  ; $(PROVE) tests/data -k "official and (palette or axes or normals_face or geonet_gives or disparity or pose_by_hand or known_point or millimetres or votes)"
accept-labels:      ; $(PROVE) tests/accept/test_label_scale.py tests/probes/test_label_readout.py
accept-statistics:  ; $(PROVE) tests/accept/test_statistics.py tests/analysis/test_coverage.py tests/analysis/test_correlate.py tests/analysis/test_study.py
accept-findings:    ; $(PROVE) tests/accept/test_findings_planted.py tests/analysis/test_findings.py
accept-training:    ; $(PROVE) tests/accept/test_training_budget.py tests/run/test_evaluator.py tests/run/test_lightning_callback.py tests/run/test_trackers.py
accept-docs:        ; $(PROVE) tests/docs
accept-study-report: ; $(PROVE) tests/accept/test_study_report_full.py tests/browser/test_study_browser.py tests/report
accept-decisions:   ; $(PROVE) tests/accept/test_decisions_measured.py tests/run/test_decisions.py tests/contracts/test_protocol_diff.py
accept-data-speed:  ; $(BIN)/python benchmarks/read.py
accept-data-memory: ; $(PROVE) tests/accept/test_prepare_memory_full.py tests/data/test_prepare_memory.py
accept-study:       ; $(PROVE) tests/accept/test_study_killed.py tests/run/test_study_plans.py tests/cli/test_study_command.py
accept-ray:         ; $(PROVE) tests/accept/test_ray.py tests/run/test_executors.py
accept-data-real:   ; $(PROVE) tests/accept/test_data_real.py tests/data/test_official_real.py
accept-data-sets:   ; $(PROVE) tests/data -k official
