// The one source that is compiled against the installed MPI, into a library of its own (libtelltale_mpi.so).
#include "base/mpi/bridge.h"

#include <mpi.h>

#include <mutex>
#include <vector>

namespace {

constexpr int kSignOfLife = 1;
constexpr int kChannels = telltale_mpi_beside + 1;
MPI_Comm channels[kChannels];
MPI_Request pending[kChannels];
MPI_Comm letters = MPI_COMM_NULL;  // from one rank to another
std::vector<MPI_Request> underway;
std::mutex calls;  // one at a time: MPI_THREAD_SERIALIZED
using Hold = std::scoped_lock<std::mutex>;

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

int telltale_mpi_start(int* rank, int* size, int* threads) {
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) return 1;
  *threads = provided >= MPI_THREAD_SERIALIZED;
  for (MPI_Request& request : pending) request = MPI_REQUEST_NULL;
  for (MPI_Comm& channel : channels) MPI_Comm_dup(MPI_COMM_WORLD, &channel);
  MPI_Comm_dup(MPI_COMM_WORLD, &letters);
  MPI_Comm_rank(MPI_COMM_WORLD, rank);
  MPI_Comm_size(MPI_COMM_WORLD, size);
  return 0;
}

void telltale_mpi_exchange(int channel, const void* from, const int* from_words, const int* from_at, void* to,
                           const int* to_words, const int* to_at) {
  const Hold hold(calls);
  MPI_Ialltoallv(from, from_words, from_at, MPI_UINT32_T, to, to_words, to_at, MPI_UINT32_T, channels[channel],
                 &pending[channel]);
}

void telltale_mpi_gather(int channel, const void* from, int words, void* to, const int* to_words, const int* to_at) {
  const Hold hold(calls);
  MPI_Iallgatherv(from, words, MPI_UINT32_T, to, to_words, to_at, MPI_UINT32_T, channels[channel], &pending[channel]);
}

int telltale_mpi_done(int channel) {
  const Hold hold(calls);
  int done = 0;
  MPI_Test(&pending[channel], &done, MPI_STATUS_IGNORE);
  return done;
}

int telltale_mpi_send(int to, int tag, const void* from, int bytes) {
  const Hold hold(calls);
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Isend(from, bytes, MPI_BYTE, to, tag, letters, &request);
  return noted(request);
}

int telltale_mpi_receive(int from, int tag, void* to, int bytes) {
  const Hold hold(calls);
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Irecv(to, bytes, MPI_BYTE, from, tag, letters, &request);
  return noted(request);
}

int telltale_mpi_finished(int number) {
  const Hold hold(calls);
  int done = 0;
  MPI_Test(&underway[size_t(number)], &done, MPI_STATUS_IGNORE);
  return done;
}

int telltale_mpi_came(int tag, int* from) {
  const Hold hold(calls);
  int there = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, tag, letters, &there, &status);
  if (there) *from = status.MPI_SOURCE;
  return there;
}

void telltale_mpi_call_out() {
  const Hold hold(calls);
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
  const Hold hold(calls);
  int there = 0;
  MPI_Iprobe(rank, kSignOfLife, channels[telltale_mpi_ending], &there, MPI_STATUS_IGNORE);
  return there;
}

void telltale_mpi_finish() {
  const Hold hold(calls);
  MPI_Finalize();
}

void telltale_mpi_abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }
