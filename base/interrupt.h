#pragma once
// Ctrl-C and SIGTERM as a flag: loops poll it, finish what they hold and leave a folder that can be continued.

namespace telltale {

/// From now on the first SIGINT or SIGTERM only sets the flag; a second one ends the process at once.
void watch_interrupts();
/// The same for another signal, such as SIGUSR1, which launchers pass on.
void watch_interrupts_by(int signal);
/// As if one had come: to another process of the job.
void interrupt();
/// Whether one came. Loops stop after the current step, save, and throw an Error that says how to continue.
bool interrupted();

}  // namespace telltale
