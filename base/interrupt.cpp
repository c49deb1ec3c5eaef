#include "base/interrupt.h"

#include <csignal>
#include <initializer_list>

namespace telltale {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t flag = 0;

}  // namespace

void watch_interrupts_by(int signal) {
  struct sigaction action {};
  action.sa_handler = [](int) { flag = 1; };
  action.sa_flags = int(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

void watch_interrupts() {
  for (int signal : {SIGINT, SIGTERM}) watch_interrupts_by(signal);
}

void interrupt() { flag = 1; }

bool interrupted() { return flag != 0; }

}  // namespace telltale
