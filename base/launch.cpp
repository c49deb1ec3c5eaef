#include "base/launch.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace telltale {
namespace {

struct Launcher {
  const char *name, *rank, *size, *local_rank;
};
// Slurm sets SLURM_NTASKS in a job script too, which is no rank; the number of tasks of a step only for a step's tasks.
constexpr Launcher kLaunchers[] = {
    {"mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"}};

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  int value = -1;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  TT_CHECK(error == std::errc() && stop == end && value >= 0, UsageError, "the environment's ", variable, " is \"",
           text, "\", and a launcher sets it to a number: unset it to run alone");
  return value;
}

}  // namespace

Launch find_launch() {
  for (const Launcher& launcher : kLaunchers) {
    if (!std::getenv(launcher.rank) || !std::getenv(launcher.size)) continue;
    Launch found{number_in(launcher.rank), number_in(launcher.size), launcher.name};
    if (std::getenv(launcher.local_rank)) found.local_rank = number_in(launcher.local_rank);
    if (found.size > 1) return found;
  }
  return {};
}

}  // namespace telltale
