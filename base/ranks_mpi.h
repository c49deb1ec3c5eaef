#pragma once
// The bridge to MPI, opened at run time: for ranks.cpp and deal.cpp alone.
#include <filesystem>

#include "base/check.h"
#include "base/mpi/bridge.h"
#include "base/ranks.h"
#include "base/shared_library.h"

namespace telltale {

/// The bridge's functions, by their names there.
struct Ranks::Mpi {
  decltype(&telltale_mpi_start) start = nullptr;
  decltype(&telltale_mpi_exchange) exchange = nullptr;
  decltype(&telltale_mpi_gather) gather = nullptr;
  decltype(&telltale_mpi_done) done = nullptr;
  decltype(&telltale_mpi_send) send = nullptr;
  decltype(&telltale_mpi_receive) receive = nullptr;
  decltype(&telltale_mpi_finished) finished = nullptr;
  decltype(&telltale_mpi_came) came = nullptr;
  decltype(&telltale_mpi_call_out) call_out = nullptr;
  decltype(&telltale_mpi_heard_from) heard_from = nullptr;
  decltype(&telltale_mpi_finish) finish = nullptr;
  decltype(&telltale_mpi_abort) abort = nullptr;

  Mpi() {
    const std::filesystem::path programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    constexpr const char* kName = "libtelltale_mpi.so";
    std::string path = programs / kName;
    if (const auto installed = programs.parent_path() / "lib/telltale" / kName; !std::filesystem::exists(path))
      if (std::filesystem::exists(installed)) path = installed;
    TT_CHECK(std::filesystem::exists(path), UsageError,
             "several processes were started together, and this build has no MPI to join them (no ", path,
             "): install MPI (tools/setup --with-mpi) and configure and build again");
    const SharedLibrary library{path.c_str()};
    library.bind(start, "telltale_mpi_start");
    library.bind(exchange, "telltale_mpi_exchange");
    library.bind(gather, "telltale_mpi_gather");
    library.bind(done, "telltale_mpi_done");
    library.bind(send, "telltale_mpi_send");
    library.bind(receive, "telltale_mpi_receive");
    library.bind(finished, "telltale_mpi_finished");
    library.bind(came, "telltale_mpi_came");
    library.bind(call_out, "telltale_mpi_call_out");
    library.bind(heard_from, "telltale_mpi_heard_from");
    library.bind(finish, "telltale_mpi_finish");
    library.bind(abort, "telltale_mpi_abort");
  }
};

}  // namespace telltale
