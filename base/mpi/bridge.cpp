// The one source that is compiled against the installed MPI, into a library of its own (libtelltale_mpi.so).
#include "base/mpi/bridge.h"

#include <mpi.h>

#include <vector>

namespace {

constexpr int kSignOfLife = 1;
MPI_Comm channels[2] = {MPI_COMM_NULL, MPI_COMM_NULL};
MPI_Request pending[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
MPI_Comm letters = MPI_COMM_NULL;  // from one rank to another
std::vector<MPI_Request> underway;

int noted(MPI_Request request) {
  for (size_t i = 0; i < underway.size(); ++i)
    if (underway[i] == MPI_REQUEST_NULL) {
      underway[i] = request;
      return int(i);
    }
  underway.push_back(request);
  return int(underway.size()) - 1;
}

}  // namespace

int telltale_mpi_start(int* rank, int* size) {
  int threads = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &threads) != MPI_SUCCESS) return 1;
  for (MPI_Comm& channel : channels) MPI_Comm_dup(MPI_COMM_WORLD, &channel);
  MPI_Comm_dup(MPI_COMM_WORLD, &letters);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
  return 0;
}

void telltale_mpi_exchange(const void* from, const int* from_words, const int* from_at, void* to, const int* to_words,
                           const int* to_at) {
  MPI_Ialltoallv(from, from_words, from_at, MPI_UINT32_T, to, to_words, to_at, MPI_UINT32_T,
                 channels[telltale_mpi_work], &pending[telltale_mpi_work]);
}

void telltale_mpi_gather(int channel, const void* from, int words, void* to, const int* to_words, const int* to_at) {
  MPI_Iallgatherv(from, words, MPI_UINT32_T, to, to_words, to_at, MPI_UINT32_T, channels[channel], &pending[channel]);
}

int telltale_mpi_done(int channel) {
  int done = 0;
  MPI_Test(&pending[channel], &done, MPI_STATUS_IGNORE);
  return done;
}

int telltale_mpi_send(int to, int tag, const void* from, int bytes) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Isend(from, bytes, MPI_BYTE, to, tag, letters, &request);
  return noted(request);
}

int telltale_mpi_receive(int from, int tag, void* to, int bytes) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Irecv(to, bytes, MPI_BYTE, from, tag, letters, &request);
  return noted(request);
}

int telltale_mpi_finished(int number) {
  int done = 0;
  MPI_Test(&underway[size_t(number)], &done, MPI_STATUS_IGNORE);
  return done;
}

int telltale_mpi_came(int tag, int* from) {
  int there = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, tag, letters, &there, &status);
  if (there) *from = status.MPI_SOURCE;
  return there;
}

void telltale_mpi_call_out() {
  int rank = 0, size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (int other = 0; other < size; ++other) {
    MPI_Request sent = MPI_REQUEST_NULL;  // nobody waits for it: all end soon
    if (other != rank) MPI_Isend(nullptr, 0, MPI_UINT32_T, other, kSignOfLife, channels[telltale_mpi_ending], &sent);
    if (sent != MPI_REQUEST_NULL) MPI_Request_free(&sent);
  }
}

int telltale_mpi_heard_from(int rank) {
  int there = 0;
  MPI_Iprobe(rank, kSignOfLife, channels[telltale_mpi_ending], &there, MPI_STATUS_IGNORE);
  return there;
}

void telltale_mpi_finish() { MPI_Finalize(); }

void telltale_mpi_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
