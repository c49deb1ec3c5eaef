# What a GPU machine needs built: read by tools/scripts/gpu_pack, which packs it, and tools/scripts/gpu_parts.sh, which runs it.
gpu_programs=(synth train eval infer parity bench)
gpu_tests=(kernels_test capture_test golden_layers_test golden_nets_test golden_adversary_test losses_test losses_detection_test
  losses_golden_test losses_file_test engine_test chain_test check_mode_test loss_scale_test adversary_test generator_test
  generator_inference_test cudnn_plan_test transfer_test stem_test gated_conv_test conv_halves_test
  resident_test)
