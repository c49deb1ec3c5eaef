#pragma once
// What a program asks of MPI, in C, so that nothing but bridge.cpp depends on whose MPI is installed. Sizes and places
// are in words of 4 bytes. Any thread may call where MPI lets several; calls wait for one another.
#include <cstdint>

extern "C" {

/// Separate conversations of all processes: what one leaves unfinished does not disturb another.
enum TelltaleMpiChannel { telltale_mpi_work = 0, telltale_mpi_ending = 1, telltale_mpi_beside = 2 };

/// Meets the other processes; `threads`: whether several threads may call. Returns 0, or another number when MPI cannot
/// start.
int telltale_mpi_start(int* rank, int* size, int* threads);
/// Begins sending to[r] ← from of every rank r. Arrays have an entry a rank and hold, like the buffers, until
/// telltale_mpi_done.
void telltale_mpi_exchange(int channel, const void* from, const int* from_words, const int* from_at, void* to,
                           const int* to_words, const int* to_at);
/// Begins giving every rank all ranks' words, to[to_at[r]…] ← rank r's `from`.
void telltale_mpi_gather(int channel, const void* from, int words, void* to, const int* to_words, const int* to_at);
/// Whether what was begun last on the channel is finished; does not wait.
int telltale_mpi_done(int channel);
/// Begins sending to one rank, or receiving what it sends under the same tag, in the order of sending. Returns a number
/// to ask telltale_mpi_finished with; the bytes hold until that says so.
int telltale_mpi_send(int to, int tag, const void* from, int bytes);
int telltale_mpi_receive(int from, int tag, void* to, int bytes);
/// Whether it is done; from then on the number is another's.
int telltale_mpi_finished(int number);
/// Whether something that was sent under the tag waits to be received: then from whom.
int telltale_mpi_came(int tag, int* from);
/// Sends every other rank a sign of life, and whether one came from `rank`.
void telltale_mpi_call_out(void);
int telltale_mpi_heard_from(int rank);
/// Takes leave of the others: to be called by all, once, at the end.
void telltale_mpi_finish(void);
/// Ends every process of the job with this exit code, this one too.
void telltale_mpi_abort(int code);

}  // extern "C"
