// Which processes belong together, as launchers say in the environment.
#include "base/launch.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "base/check.h"

namespace telltale {
namespace {

/// find_launch() in an environment with these variables and no launcher's others.
Launch launched(const std::map<std::string, std::string>& variables) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "SLURM_PROCID",
                           "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "RANK", "WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                           "MPI_LOCALRANKID", "SLURM_LOCALID", "LOCAL_RANK"})
    unsetenv(name);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
  return find_launch();
}

TEST(Launch, IsFoundInTheEnvironmentOfEveryLauncher) {
  const Launch open_mpi = launched({{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}});
  EXPECT_EQ(open_mpi.rank, 3);
  EXPECT_EQ(open_mpi.size, 4);
  EXPECT_EQ(open_mpi.by, "mpirun");
  EXPECT_EQ(launched({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}).by, "mpiexec");
  EXPECT_EQ(launched({{"RANK", "0"}, {"WORLD_SIZE", "8"}}).size, 8);
  const Launch task = launched({{"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "6"}, {"SLURM_NTASKS", "6"}});
  EXPECT_EQ(task.rank, 5);
  EXPECT_EQ(task.by, "srun");
  // mpirun inside a job step of one task: the innermost launcher counts.
  EXPECT_EQ(launched({{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"SLURM_PROCID", "0"},
                      {"SLURM_STEP_NUM_TASKS", "1"}})
                .rank,
            1);
}

TEST(Launch, ThePlaceAmongThoseOfTheMachineIsTheSameLaunchers) {
  const struct {
    const char *rank, *size, *local;
  } launchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
                   {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
                   {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
                   {"RANK", "WORLD_SIZE", "LOCAL_RANK"}};
  for (const auto& l : launchers) {
    const std::map<std::string, std::string> said = {{l.rank, "13"}, {l.size, "16"}, {l.local, "5"}};
    EXPECT_EQ(launched(said).local_rank, 5) << l.local;
    EXPECT_EQ(launched({{l.rank, "13"}, {l.size, "16"}}).local_rank, 0) << l.local;
    EXPECT_THROW(launched({{l.rank, "13"}, {l.size, "16"}, {l.local, "five"}}), UsageError) << l.local;
  }
  // A task of srun that starts torchrun has both: the one that counts says where.
  EXPECT_EQ(launched({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}, {"SLURM_LOCALID", "0"}}).local_rank, 1);
}

TEST(Launch, AloneWhereNobodyElseWasStarted) {
  EXPECT_EQ(launched({}).size, 1);
  EXPECT_EQ(launched({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}).size, 1);
  EXPECT_EQ(launched({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).size, 1) << "a job script is no rank";
}

TEST(Launch, NumbersThatAreNoneAreRefused) {
  for (const char* rank : {"", "two", "-1", "1x"})
    EXPECT_THROW(launched({{"PMI_RANK", rank}, {"PMI_SIZE", "2"}}), UsageError) << rank;
  launched({});
}

}  // namespace
}  // namespace telltale
