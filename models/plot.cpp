#include "models/plot.h"

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "base/check.h"
#include "base/table.h"

namespace telltale {
namespace {

/// A gnuplot that is not there closes the pipe at once, which must not end the program.
class IgnoreBrokenPipe {
 public:
  IgnoreBrokenPipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~IgnoreBrokenPipe() { std::signal(SIGPIPE, before_); }

 private:
  void (*before_)(int);
};

constexpr const char* kStyle =
    "set terminal pngcairo size 900,860 font 'DejaVu Sans,15' background '#ffffff'\n"
    "set tics textcolor rgb '#444444'\n";

}  // namespace

bool draw_with_gnuplot(const std::string& path, const std::string& script) {
  const std::string part = path + ".part.png";
  std::error_code error;
  std::filesystem::remove(part, error);
  const IgnoreBrokenPipe ignore;
  FILE* gnuplot = ::popen("gnuplot >/dev/null 2>&1", "w");
  if (!gnuplot) return false;
  std::string quoted;
  for (char c : part) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  const std::string text = cat("set output '", quoted, "'\n", script, "unset output\n");
  const bool written = std::fwrite(text.data(), 1, text.size(), gnuplot) == text.size();
  const bool ok = ::pclose(gnuplot) == 0 && written && std::filesystem::exists(part, error) &&
                  std::filesystem::file_size(part, error) > 0;
  if (ok) std::filesystem::rename(part, path, error);
  if (!ok || error) std::filesystem::remove(part, error);
  return ok && !error;
}

bool plot_roc(const std::string& path, std::span<const RocPoint> curve, double auc) {
  std::string points;
  for (const RocPoint& p : curve) points += cat(p.false_positive_rate, " ", p.true_positive_rate, "\n");
  return draw_with_gnuplot(path,
                           cat(kStyle, "set title 'ROC curve, AUC ", fixed(auc, 4), "'\n",
                               "set xlabel 'false positive rate'\nset ylabel 'true positive rate'\n"
                               "set xrange [-.005:1]\nset yrange [0:1.005]\nset size ratio 1\nunset key\n"
                               "set border 3 lc rgb '#888888'\nset tics nomirror out\nset grid lt 1 lc rgb '#e4e4e4'\n"
                               "plot x with lines dt 2 lc rgb '#999999', '-' with lines lw 3 lc rgb '#1f6fb2'\n",
                               points, "e\n"));
}

bool plot_confusion(const std::string& path, const Confusion& c, double threshold) {
  // Rows are the truth, columns the call; a cell's shade is its share of its row.
  const int64_t counts[2][2] = {{c.true_negatives, c.false_positives}, {c.false_negatives, c.true_positives}};
  std::string cells, labels;
  for (int truth = 0; truth < 2; ++truth) {
    const double row = double(counts[truth][0] + counts[truth][1]);
    for (int call = 0; call < 2; ++call) {
      const double share = row > 0 ? double(counts[truth][call]) / row : 0;
      cells += cat(call, " ", 1 - truth, " ", share, "\n");
      labels += cat("set label \"", counts[truth][call], "\\n", fixed(100 * share, 1), " %\" at ", call, ",",
                    fixed(1 - truth + 0.04, 2), " center front font ',22' textcolor rgb '",
                    share > 0.55 ? "#ffffff" : "#222222", "'\n");
    }
  }
  return draw_with_gnuplot(
      path, cat(kStyle, "set title 'Confusion at threshold ", threshold, ", F1 ", fixed(c.f1(), 4), "'\n",
                "set xlabel 'called'\nset ylabel 'is'\nset xtics ('real' 0, 'fake' 1) scale 0\n"
                "set ytics ('real' 1, 'fake' 0) scale 0\nset xrange [-.5:1.5]\nset yrange [-.5:1.5]\n"
                "set size ratio 1\nunset key\nunset colorbox\nset cbrange [0:1]\n"
                "set palette defined (0 '#f4f8fc', 1 '#1f6fb2')\nset border lc rgb '#888888'\n",
                labels, "plot '-' with image\n", cells, "e\n"));
}

}  // namespace telltale
