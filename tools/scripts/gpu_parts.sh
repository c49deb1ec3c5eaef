# The parts of tools/gpu_check: part_NAME runs in its own shell, with set -euo pipefail. Its work is cut into items, each a process of
# its own: one that breaks the GPU, hangs or finds no time takes no other with it, and what has passed is not run again.
# Set by the caller: root out work figures python dry photos bin tests init device; note, limit, deadline and covered of the part.
# `say` leaves the line that the table shows; `skip` ends a part without a verdict.
say() { echo "$*" | tee -a "$note"; }
skip() { say "$*"; exit 77; }
dry() { [[ $dry == yes ]]; }
# A gtest's counts in one line, from its log.
counts() { awk '/\[  PASSED  \]/ {p = $4} /\[  SKIPPED \].*tests?,/ {s = $4} /\[  FAILED  \].*tests?,/ {f = $4} END {printf "%d passed, %d failed, %d skipped", p, f, s}' "$1"; }
left() { echo $((deadline - $(now))); }

# Runs a command or a function for so many seconds at most; 124 where that was too short.
within() {
  local end=$(($(now) + $1)) seconds=$1 code=0
  shift
  if [[ -z ${TT_CLOCK:-} ]]; then
    timeout -k 5 "$seconds" bash -c 'set -euo pipefail; "$@"' within "$@"
    return
  fi
  bash -c 'set -euo pipefail; "$@"' within "$@" || code=$?
  [[ $(now) -le $end ]] && return $code || return 124
}
# item NAME SECONDS COMMAND…: unless an earlier call has passed it. What did not end in SECONDS failed; what did not end because
# the part's time ran out is not covered.
item() {
  local name=$1 most=$(($2 * slack)) code=0 remaining
  shift 2
  items=$((${items:-0} + 1))
  if grep -qxF "passed $name" "$covered"; then
    passed=$((${passed:-0} + 1))
    return 0
  fi
  remaining=$(left)
  [[ $remaining -ge 5 ]] || return 0
  echo "-- $name"
  within $((most < remaining ? most : remaining)) "$@" || code=$?
  if [[ $code == 0 ]]; then
    echo "passed $name" >>"$covered"
    passed=$((${passed:-0} + 1))
  elif [[ ($code == 124 || $code == 137) && $remaining -lt $most ]]; then
    echo "-- $name: the part's time ended first"
  else
    failures+="${failures:+, }$name ($([[ $code == 124 || $code == 137 ]] && echo "not done after $most s" || echo "exit code $code"))"
  fi
}
# The part's verdict, its last line.
finish() {
  say "${passed:-0} of ${items:-0} $1${failures:+; failed: $failures}${2:+; $2}"
  [[ -z ${failures:-} ]] || return 1
  [[ ${passed:-0} == "${items:-0}" ]] || exit 75
}
# The next shell inherits functions by name.
share() { export -f say skip dry counts left within item finish "${@}"; }

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

# One op's cases: the ledger is written as the process ends.
kernel() {
  "$tests/kernels_test" --gtest_filter="$1" --gtest_brief=1 >"$work/kernel.log" 2>&1 || { tail -n 40 "$work/kernel.log"; return 1; }
  grep -E '^closest margin|^GPU:' "$work/kernel.log" || true
}
part_kernels() {
  local suffix=cuda op filter
  [[ $device == cuda ]] || suffix=emulated
  export TT_GPU_LEDGER=$out/$(dry && echo dry_ledger.tsv || echo gpu_ledger.tsv)
  # "MatchesReference/NAME  # GetParam() = OP SIZE TYPE on cuda": a line an op and its tests. NVIDIA's come last, since their plans
  # take time to choose.
  "$tests/kernels_test" --gtest_list_tests | awk -v on="on $suffix" '
    /^[^ ]/ {suite = $1}
    $0 ~ on "$" && /# GetParam/ {op = $5; if (!(op in tests)) order[++n] = op; tests[op] = tests[op] (tests[op] == "" ? "" : ":") suite $1}
    END {for (late = 0; late < 2; ++late) for (i = 1; i <= n; ++i) if ((order[i] ~ /^(conv|linear|gemm|gated_conv)/) == late) print order[i] "\t" tests[order[i]]}' >"$work/ops"
  if dry; then # two of ours and one of NVIDIA's
    awk -F '\t' '$1 ~ /^(concat|reduce|column_sums|linear_forward)$/' "$work/ops" >"$work/few" && mv "$work/few" "$work/ops"
  fi
  while IFS=$'\t' read -r op filter; do item "$op" 120 kernel "$filter" </dev/null; done <"$work/ops"
  finish ops
}

device_test() {
  local log=$work/$1.log filter='*/cuda' code=0
  [[ $1 == losses* || $1 == cudnn* ]] && ! dry && filter='*' # these ask for the GPU inside
  ! dry || filter+=':-*InHalvesResNets*'                      # of full width: many minutes on a CPU
  "$tests/$1" --gtest_filter="$filter" --gtest_brief=1 >"$log" 2>&1 || code=$?
  tail -n 25 "$log"
  return $code
}
part_tests() {
  local test
  source "$root/tools/scripts/gpu_programs.sh"
  for test in "${gpu_tests[@]}"; do
    [[ -x $tests/$test && $test != kernels_test && $test != capture_test ]] || continue # these have parts of their own
    dry && [[ ! $test =~ ^(transfer|chain)_test$ ]] && continue
    item "$test" 60 device_test "$test"
  done
  [[ ${items:-0} -gt 0 ]] || skip "no test programs in $tests"
  finish "test programs"
}

parity_of() {
  local log=$work/parity.log code=0
  "$bin/parity" --device "$device" "$@" >"$log" 2>&1 || code=$?
  grep -E 'FAILED|passed' "$log" || tail -n 5 "$log"
  return $code
}
for_the_record() { # how far 16 bits are: no verdict
  "$bin/parity" --device "$device" --precision "$1" --tolerance 1 "$root"/tests/golden/{net_*_eval,inpaint_*}.safetensors 2>&1 | grep -E 'expect|output|refined|passed' | tail -n 20 || true
}
part_parity() {
  local kind golden=$root/tests/golden
  for kind in loss net inpaint patch; do
    dry && [[ $kind != loss ]] && continue
    compgen -G "$golden/$kind*.safetensors" >/dev/null || continue
    item "$kind" 60 parity_of "$golden/$kind"*.safetensors
  done
  dry || for kind in bf16 f16; do item "$kind, for the record" 60 for_the_record $kind; done
  finish "groups of golden cases"
}

capture_of() {
  local log=$work/capture.log code=0
  "$tests/capture_test" --gtest_filter="$1" >"$log" 2>&1 || code=$?
  tail -n 40 "$log"
  return $code
}
part_capture() {
  [[ -x $tests/capture_test ]] || skip "capture_test is not built"
  local filter
  # The bits of whole nets take longest on a CPU.
  for filter in '*Host*' '*WorkThatCannot*:*AWorkspace*' '*ReplayGives*'; do
    dry && [[ $filter != *WorkThatCannot* ]] && continue
    item "$filter" 60 capture_of "$filter"
  done
  finish groups
}

# A small dataset of drawn scenes, made once on the device: this also runs the inpainter there.
dataset() {
  [[ -f $work/data/dataset.json ]] && return
  local size=256 scenes=400 width=8
  dry && size=32 scenes=40 width=2
  "$bin/synth" --scenes $scenes --out "$work/data" --size $size --weights random:1 --width $width --split .9,.08,.02 --quiet --device "$device"
}

check_of() {
  local batch=8 extra=()
  dry && batch=2 extra=(--width 0.125 --size 64)
  dataset
  "$bin/train" --check --data "$work/data" --out "$work/check-$1" --net "$1" --batch $batch --device "$device" "${extra[@]}"
}
part_field() {
  local net nets=(resnet18 alexnet)
  dry && nets=(resnet18)
  for net in "${nets[@]}"; do item "$net" 60 check_of "$net"; done
  finish "nets agree on both devices, forward and backward"
}

# The folder stays between calls: a run that was stopped goes on.
loss_run() {
  local epochs=17 batch=32 extra=() # 360 images: 12 steps an epoch
  dry && epochs=1 batch=12 extra=(--width 0.125 --size 32)
  dataset
  [[ ! -f $out/loss/$1/config.json ]] || extra+=(--resume)
  mkdir -p "$out/loss"
  "$bin/train" --data "$work/data" --out "$out/loss/$1" --net resnet18 --init none --epochs $epochs --batch $batch --lr 1e-4 \
    --precision "$2" --seed "$3" --device "$device" --quiet "${extra[@]}"
  tail -n 1 "$out/loss/$1/timing.csv"
}
loss_verdict() { "$python" "$root/bench/loss_gap.py" "$out"/loss/{f32,bf16}/metrics.jsonl --spread "$out/loss/second/metrics.jsonl" --json "$figures/loss.json" | tee -a "$note"; }
part_loss() {
  [[ -s $covered ]] || rm -rf "$out/loss"
  item f32 90 loss_run f32 f32 1
  item bf16 90 loss_run bf16 bf16 1
  item "f32 by another seed" 90 loss_run second f32 2
  [[ ${passed:-0} != 3 ]] || item "the gap" 20 loss_verdict
  finish "runs and their gap"
}

bench_kernels() { "$bin/bench" kernels --device "$device" --precision "$1" --filter "$2" --json "$figures/kernels_$1.json" --resume; }
part_kernel_speed() {
  local precision
  if dry; then # on little memory the ceilings are measured with small matrices
    TT_FAKE_GPU=memory=1024 item f32 30 bench_kernels f32 'concat_forward.*64x64'
    finish "precisions; no GPU, so no speed"
    return
  fi
  for precision in bf16 f32; do item $precision 150 bench_kernels $precision .; done
  item f16 60 bench_kernels f16 conv_norm
  finish precisions "$("$python" "$root/bench/below.py" "$figures"/kernels_{bf16,f32}.json)"
}

bench_net() {
  local name=$1
  shift
  "$bin/bench" nets --device "$device" --json "$figures/nets_$name.json" "$@"
}
part_net_speed() {
  if dry; then
    item resnet18 30 bench_net dry --net resnet18 --batch 1 --size 32 --seconds 0
    finish "rows; no GPU, so no speed"
    return
  fi
  local net batch
  for net in resnet18 resnet50; do
    for batch in 512 64; do
      item "train $net bf16 $batch" 40 bench_net train_${net}_bf16_$batch --net $net --batch $batch --mode train --precision bf16 --seconds 1.5 --layers
    done
    # Batch norms inside the convolutions, and beside them.
    item "train $net f16 512" 40 bench_net train_${net}_f16_512 --net $net --batch 512 --mode train --precision f16 --seconds 1
    item "train $net f16 512 without chains" 40 bench_net train_${net}_f16_512_plain --net $net --batch 512 --mode train --precision f16 --seconds 1 --no-chains
  done
  item "infer bf16" 40 bench_net infer_bf16 --net resnet18,resnet50 --batch 1,64 --mode infer --precision bf16 --seconds 1
  item "paint f16" 60 bench_net paint_f16 --net deepfill_v2 --batch 16 --precision f16 --seconds 2 --layers
  finish "rows; per-layer tables in log.txt"
}

compare_of() {
  local rows=(--rows "$1" --rounds 5)
  [[ $1 == inpaint ]] || rows+=(--nets "$2")
  dry && rows=(--rows infer --nets resnet18 --rounds 1 --batches 1 --size 64 --precision f32)
  "$python" "$root/bench/compare.py" --device "$(dry && echo cpu || echo cuda)" --programs "$bin" --torch-python "$python" --limit $(($(left) > 20 ? $(left) - 10 : 10)) \
    --json "$figures/compare_$1_$2.json" "${rows[@]}"
}
part_peers() {
  local net
  "$python" -c 'import torch, torchvision' 2>/dev/null || skip "$python has no torch and torchvision"
  for net in resnet50 resnet18 vgg11 alexnet; do
    item "train $net" 60 compare_of train $net
    dry && break
    item "infer $net" 40 compare_of infer $net
  done
  dry || item inpaint 60 compare_of inpaint deepfill_v2
  finish "rows; see figures.json"
}

# Runs the small cases of our own kernels (not NVIDIA's) under one tool of compute-sanitizer. Time running out is no failure
# while nothing was found.
sanitize() {
  dry && skip "emulated: nothing for compute-sanitizer to see"
  command -v compute-sanitizer >/dev/null || PATH=$PATH:/usr/local/cuda/bin
  command -v compute-sanitizer >/dev/null || skip "no compute-sanitizer here"
  local log=$work/$1.log code=0 ran
  GTEST_SHUFFLE=1 timeout $((limit > 20 ? limit - 8 : limit)) compute-sanitizer --tool "$1" --error-exitcode 9 "$tests/kernels_test" --gtest_filter='*_f32_cuda_*:*_bf16_cuda_*:-*/conv_*:*/linear_*:*/gemm*' >"$log" 2>&1 || code=$?
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
  local precision=tf32 # see the recipes
  [[ $device == cuda ]] || precision=f32
  dry && nets=(resnet18) epochs=1 extra=(--width 0.125 --size 32 --batch 4)
  "$bin/synth" --photos "$photos" --out "$work/photos-data" --weights "$weights" --device "$device" --quiet $(dry && echo --size 32 --count 40)
  for net in "${nets[@]}"; do
    local from=$init/$net.safetensors
    [[ -f $from ]] && ! dry || from=none
    "$bin/train" --data "$work/photos-data" --out "$work/paper-$net" --recipe "$root/recipes/$net.json" --init "$from" --epochs $epochs --batch 64 --device "$device" --precision "$precision" --quiet "${extra[@]}"
    "$bin/eval" --data "$work/photos-data" --weights "$work/paper-$net/best.safetensors" --out "$work/report-$net" --device "$device" --quiet
  done
  "$python" - "$work"/report-*/report.json >"$figures/experiment.json" <<'PY'
import json, sys
print(json.dumps({p.split("report-")[1].split("/")[0]: json.load(open(p)) for p in sys.argv[1:]}, indent=1))
PY
  say "${#nets[@]} nets trained and measured; see figures.json"
}

share sanitize dataset kernel device_test parity_of for_the_record capture_of check_of loss_run loss_verdict bench_kernels bench_net compare_of \
  part_{device,kernels,tests,parity,capture,field,loss,kernel_speed,net_speed,peers,memcheck,racecheck,experiment}
