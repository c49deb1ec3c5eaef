#pragma once
// The third way to run a kernel's host form, beside lanes forward and reversed: each lane of a block is a thread to
// ThreadSanitizer, with registers and a stack of its own, and nothing but a barrier puts an order between two. A number
// that one lane writes and another reads or writes in the same phase is then a race, whatever the order they happen to
// run in, and so is one that two blocks share. The lanes take turns on one core (ThreadSanitizer calls such threads
// fibers): it goes by what is ordered, not by what happens, and the same seed gives the same run.
//
// It cannot see what nvcc makes of a kernel, nor lanes of a warp that go apart: nothing here counts on them to stay
// together.
#include <map>
#include <string>

namespace telltale::lane_threads {

/// Ends the threads, which are kept for the next launch: a process that has any must not fork.
void let_go();
/// How many races were reported so far in this process.
int races();
/// Ends the process with code kRaceFound at the first race from now on, without its report.
void end_at_race();
constexpr int kRaceFound = 66;  // ThreadSanitizer's own

/// By the name of a kernel's type as the compiler has it: how many barriers a lane of it came to at most.
const std::map<std::string, int>& barriers();
void forget_barriers();
/// From now on lanes of this kernel run through the barrier of this number, counted from 0, as if it were not there. To
/// see whether that is found out.
void leave_out(const std::string& kernel, int barrier);

}  // namespace telltale::lane_threads
