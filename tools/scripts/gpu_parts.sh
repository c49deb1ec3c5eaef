# The parts of tools/gpu_check: part_NAME runs in its own shell under a time limit, with set -euo pipefail.
# Set by the caller: root out work figures python dry photos bin tests init device note limit. `say` leaves the line that the table
# shows; `skip` ends a part without a verdict.
say() { echo "$*" | tee -a "$note"; }
skip() { say "$*"; exit 77; }
dry() { [[ $dry == yes ]]; }
# A gtest's counts in one line, from its log.
counts() { awk '/\[  PASSED  \]/ {p = $4} /\[  SKIPPED \].*tests?,/ {s = $4} /\[  FAILED  \].*tests?,/ {f = $4} END {printf "%d passed, %d failed, %d skipped", p, f, s}' "$1"; }
# The next shell inherits functions by name.
share() { export -f say skip dry counts dataset "${@}"; }

part_device() {
  local found=0
  "$python" "$root/bench/gpu_device.py" --json "$figures/device.json" --description "$out/device_description.json" || found=1
  nvcc --version 2>/dev/null | tail -n 2 || echo "no nvcc"
  (lscpu 2>/dev/null || true) | grep -E 'Model name|^CPU\(s\)' || true
  if [[ $found != 0 ]]; then
    dry && skip "no GPU: nothing to describe"
    return 1
  fi
  say "$("$python" -c 'import json, sys
d = json.load(open(sys.argv[1])); c = d.get("ceilings", {})
print(d["gpu"]["name"], "driver", d["gpu"]["driver_version"] + ", cuDNN", str(d.get("cudnn")) + ", copy %.2f TB/s, bf16 %.0f TFLOP/s" %
      (c.get("copy_bytes_per_s", 0) / 1e12, c.get("matrix_bf16_flop_per_s", 0) / 1e12))' "$figures/device.json")"
}

part_kernels() {
  local own='*_cuda_*:-*/conv_*:*/linear_*:*/gemm*' nvidia='*/conv_*_cuda_*:*/linear_*_cuda_*:*/gemm*_cuda_*' log code=0 found=''
  dry && own='*concat*_emulated_*' nvidia='*linear_forward*_emulated_*'
  dry || export TT_GPU_LEDGER=$out/gpu_ledger.tsv
  # Ours apart from NVIDIA's, whose plans take time to choose: the ledger is written when a run ends.
  for whose in own nvidia; do
    log=$work/kernels_$whose.log
    timeout $((limit * 3 / 5)) "$tests/kernels_test" --gtest_filter="${!whose}" --gtest_brief=1 >"$log" 2>&1 || code=$?
    grep -vE '^closest margin' "$log" | tail -n 60
    grep -E '^closest margin' "$log" || true
    found+="${found:+; }$whose: $(counts "$log"), $(grep -m 1 '^GPU:' "$log" || echo "ended early with exit code $code")"
    say "$found"
  done
  return $code
}

part_tests() {
  local failed='' n=0 test log filter
  source "$root/tools/scripts/gpu_programs.sh"
  for test in "${gpu_tests[@]}"; do
    [[ -x $tests/$test && $test != kernels_test && $test != capture_test ]] || continue # these have parts of their own
    n=$((n + 1))
    log=$work/$test.log
    filter='*/cuda'
    [[ $test == losses* || $test == cudnn* ]] && filter='*' # these ask for the GPU inside
    dry && filter='*/cuda'
    echo "-- $test"
    "$tests/$test" --gtest_filter="$filter" --gtest_brief=1 >"$log" 2>&1 || failed+=" $test"
    tail -n 25 "$log"
  done
  [[ $n -gt 0 ]] || skip "no test programs in $tests"
  say "$n programs${failed:+, failed:$failed}"
  [[ -z $failed ]]
}

part_parity() {
  local cases=("$root"/tests/golden/*.safetensors) code=0 log=$work/parity.log
  mapfile -t cases < <(printf '%s\n' "${cases[@]}" | grep -v 'golden/layers\.')
  dry && cases=("$root"/tests/golden/loss_*.safetensors)
  "$bin/parity" --device "$device" "${cases[@]}" >"$log" 2>&1 || code=$?
  grep -E 'FAILED|passed' "$log" || tail -n 5 "$log"
  say "$(tail -n 1 "$log")"
  dry && return $code
  for precision in bf16 f16; do # no verdict: how far 16 bits are, for the record
    echo "-- $precision, for the record"
    "$bin/parity" --device "$device" --precision $precision --tolerance 1 "$root"/tests/golden/{net_*_eval,inpaint_*}.safetensors 2>&1 | grep -E 'expect|output|refined|passed' | tail -n 20 || true
  done
  return $code
}

part_capture() {
  [[ -x $tests/capture_test ]] || skip "capture_test is not built"
  local filter='*' code=0 log=$work/capture.log
  dry && filter='*Host*:*/cuda'
  "$tests/capture_test" --gtest_filter="$filter" >"$log" 2>&1 || code=$?
  tail -n 40 "$log"
  say "$(counts "$log")"
  return $code
}

# A small dataset of drawn scenes, made once on the device: this also runs the inpainter there.
dataset() {
  [[ -f $work/data/dataset.json ]] && return
  local size=256 scenes=400 width=8
  dry && size=32 scenes=40 width=2
  "$bin/synth" --scenes $scenes --out "$work/data" --size $size --weights random:1 --width $width --split .9,.08,.02 --quiet --device "$device"
}

part_field() {
  dataset
  local batch=8 extra=() nets=(resnet18 alexnet)
  dry && batch=2 extra=(--width 0.125 --size 64) nets=(resnet18)
  for net in "${nets[@]}"; do
    "$bin/train" --check --data "$work/data" --out "$work/check-$net" --net "$net" --batch $batch --device "$device" "${extra[@]}"
  done
  say "${nets[*]} agree on both devices, forward and backward"
}

part_loss() {
  dataset
  local epochs=17 batch=32 extra=() # 360 images: 12 steps an epoch
  dry && epochs=1 batch=12 extra=(--width 0.125 --size 32)
  for precision in f32 bf16; do
    "$bin/train" --data "$work/data" --out "$work/run-$precision" --net resnet18 --init none --epochs $epochs --batch $batch --lr 1e-4 \
      --precision $precision --seed 1 --device "$device" --quiet "${extra[@]}"
    tail -n 1 "$work/run-$precision/timing.csv"
  done
  "$python" "$root/bench/loss_gap.py" "$work"/run-{f32,bf16}/metrics.jsonl --json "$figures/loss.json" | tee -a "$note"
}

part_kernel_speed() {
  local n=0
  if dry; then
    "$bin/bench" kernels --device "$device" --filter 'reduce.*norm|concat' --json "$figures/kernels_f32.json" || return 1
    say "emulated: no speed"
    return
  fi
  for precision in bf16 f32; do
    timeout $((limit / 2)) "$bin/bench" kernels --device "$device" --precision $precision --json "$figures/kernels_$precision.json" && n=$((n + 1))
  done
  timeout $((limit / 4)) "$bin/bench" kernels --device "$device" --precision f16 --filter conv_norm --json "$work/kernels_f16.json" || true
  say "$("$python" "$root/bench/below.py" "$figures"/kernels_*.json)"
  [[ $n == 2 ]]
}

part_net_speed() {
  if dry; then
    "$bin/bench" nets --net resnet18 --batch 1 --size 32 --seconds 0 --device "$device" --json "$figures/nets.json"
    say "emulated: no speed"
    return
  fi
  "$bin/bench" nets --net resnet18,resnet50 --batch 64,512 --mode train --precision bf16 --seconds 2 --layers --device "$device" --json "$figures/nets.json"
  for chains in "" --no-chains; do # batch norms inside the convolutions, and beside them
    "$bin/bench" nets --net resnet18,resnet50 --batch 512 --mode train --precision f16 --seconds 1 --device "$device" $chains
  done
  "$bin/bench" nets --net resnet18,resnet50 --batch 1,64 --mode infer --precision bf16 --seconds 1 --device "$device"
  "$bin/bench" nets --net deepfill_v2 --batch 16 --precision f16 --seconds 2 --layers --device "$device"
  say "see log.txt; per-layer tables there"
}

part_peers() {
  local rows=(--rows train,infer,inpaint --nets resnet50,resnet18,vgg11,alexnet --rounds 5)
  "$python" -c 'import torch' 2>/dev/null || skip "$python has no torch"
  dry && rows=(--rows infer --nets resnet18 --rounds 1 --batches 1 --size 64 --precision f32)
  "$python" "$root/bench/compare.py" --device "$(dry && echo cpu || echo cuda)" --programs "$bin" --torch-python "$python" --limit $((limit - 10)) \
    --json "$figures/compare.json" "${rows[@]}" | tee "$work/compare.log"
  say "$(grep -c '^|' "$work/compare.log") rows; see figures.json"
}

# Runs the small cases of our own kernels (not NVIDIA's) under one tool of compute-sanitizer. Time running out is no failure
# while nothing was found.
sanitize() {
  dry && skip "emulated: nothing for compute-sanitizer to see"
  command -v compute-sanitizer >/dev/null || PATH=$PATH:/usr/local/cuda/bin
  command -v compute-sanitizer >/dev/null || skip "no compute-sanitizer here"
  local log=$work/$1.log code=0 ran
  GTEST_SHUFFLE=1 timeout $((limit - 8)) compute-sanitizer --tool "$1" --error-exitcode 9 "$tests/kernels_test" --gtest_filter='*_f32_cuda_*:*_bf16_cuda_*:-*/conv_*:*/linear_*:*/gemm*' >"$log" 2>&1 || code=$?
  grep -E '^=========' "$log" | head -n 40 || true
  ran=$(grep -c '\[       OK \]' "$log" || true)
  if grep -qiE 'device not supported|unable to|not supported' <(grep '^=========' "$log"); then skip "compute-sanitizer: $(grep -m 1 '^=========' "$log")"; fi
  if grep -E '^========= ' "$log" | grep -qE 'Invalid|Race|hazard|ERROR SUMMARY: [1-9]|RACECHECK SUMMARY: [1-9]|Misaligned'; then
    say "found something; $ran cases ran"
    return 1
  fi
  [[ $code == 0 || $code == 124 ]] || { say "exit code $code after $ran cases"; return 1; }
  [[ $ran -gt 0 ]] || { say "no case finished"; return 1; }
  say "nothing found in $ran cases$([[ $code == 0 ]] || echo ' (those that fitted the time, in random order)')"
}
part_memcheck() { sanitize memcheck; }
part_racecheck() { sanitize racecheck; }

part_experiment() {
  [[ -n $photos ]] || skip "no photographs: give --photos, or pack some"
  local nets=(resnet18 resnet50 alexnet vgg11) epochs=7 extra=() weights=$root/weights/deepfill_v2.safetensors
  dry && nets=(resnet18) epochs=1 extra=(--width 0.125 --size 32 --batch 4)
  "$bin/synth" --photos "$photos" --out "$work/photos-data" --weights "$weights" --device "$device" --quiet $(dry && echo --size 32 --count 40)
  for net in "${nets[@]}"; do
    local from=$init/$net.safetensors
    [[ -f $from ]] && ! dry || from=none
    "$bin/train" --data "$work/photos-data" --out "$work/paper-$net" --recipe "$root/recipes/$net.json" --init "$from" --epochs $epochs --batch 64 --device "$device" --quiet "${extra[@]}"
    "$bin/eval" --data "$work/photos-data" --weights "$work/paper-$net/best.safetensors" --out "$work/report-$net" --device "$device" --quiet
  done
  "$python" - "$work"/report-*/report.json >"$figures/experiment.json" <<'PY'
import json, sys
print(json.dumps({p.split("report-")[1].split("/")[0]: json.load(open(p)) for p in sys.argv[1:]}, indent=1))
PY
  say "${#nets[@]} nets trained and measured; see figures.json"
}

share sanitize part_{device,kernels,tests,parity,capture,field,loss,kernel_speed,net_speed,peers,memcheck,racecheck,experiment}
