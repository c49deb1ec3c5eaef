#pragma once
// Whether a launcher started this process as one of several.
#include <string>

namespace telltale {

/// This process's place among those that were started together.
struct Launch {
  int rank = 0, size = 1;
  std::string by = {};  ///< "mpirun", "srun" …; empty: started alone
  int local_rank = 0;   ///< among those on the same machine; 0 where the launcher does not say
};
/// From what launchers leave in the environment: Open MPI's mpirun, those that speak PMI (MPICH's, Intel's), Slurm's
/// srun, torchrun. A job script that runs by itself inside an allocation counts as alone. Throws UsageError when a
/// launcher's numbers are none.
Launch find_launch();

}  // namespace telltale
