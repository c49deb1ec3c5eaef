// Pictures of several panels: curves, maps and intervals.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "models/plot.h"

namespace telltale {
namespace {

constexpr const char* kColours[] = {"#1f6fb2", "#d1495b", "#2e8b57", "#e09f3e", "#7b4fa3", "#17a2a2",
                                    "#8c564b", "#e377c2", "#5c6b73", "#a3b18a", "#003049", "#bc6c25"};

std::string quoted(const std::string& text) {
  std::string all = "'";
  for (char c : text) all += c == '\'' ? std::string("''") : std::string(1, c);
  return all + "'";
}

std::string begin(int width, int height, size_t rows, size_t columns, const std::string& title = "") {
  return cat("set terminal pngcairo noenhanced size ", width, ",", height,
             " font 'DejaVu Sans,12' background '#ffffff'\nset multiplot layout ", rows, ",", columns,
             title.empty() ? "" : " title " + quoted(title) + " font ',16'",
             "\nset border 3 lc rgb '#888888'\nset tics nomirror out textcolor rgb '#444444'\n");
}
std::string labels(const std::string& title, const std::string& x, const std::string& y) {
  return cat("set title ", quoted(title), "\nset xlabel ", quoted(x), "\nset ylabel ", quoted(y), "\n");
}
/// Room for names, in pixels.
int room_for(size_t characters) { return 90 + int(9 * characters); }
/// The part of the picture that a panel draws in, so that long names take no panel's place.
std::string between(int left, int right, int width) {
  return cat("set lmargin at screen ", double(left) / width, "\nset rmargin at screen ", double(right) / width, "\n");
}
/// gnuplot's word for a gap is a missing number.
std::string number(double v) { return std::isfinite(v) ? cat(v) : "NaN"; }

}  // namespace

bool plot_curves(const std::string& path, const std::vector<CurvePanel>& panels) {
  constexpr int kPanel = 560;
  size_t longest = 0;
  for (const Curve& c : panels.back().curves) longest = std::max(longest, c.name.size());
  const int width = kPanel * int(panels.size()) + room_for(longest);
  std::string script = begin(width, 500, 1, panels.size());
  script += "set grid lt 1 lc rgb '#e4e4e4'\nset key samplen 2 spacing 1.1 Left reverse\n";
  for (const CurvePanel& panel : panels) {
    const int left = kPanel * int(&panel - panels.data());
    script += between(left + 95, left + kPanel - 10, width);
    std::string data, lines;
    for (size_t i = 0; i < panel.curves.size(); ++i) {
      const Curve& c = panel.curves[i];
      data += cat("$curve", i, " << end\n");
      for (size_t k = 0; k < c.x.size(); ++k) data += cat(number(c.x[k]), " ", number(c.y[k]), "\n");
      data += "end\n";
      lines +=
          cat(i ? ", " : "plot ", "$curve", i, " with ", c.x.size() > 1 ? "lines lw 2" : "points pt 7", " dt ",
              1 + i / std::size(kColours), " lc rgb '", kColours[i % std::size(kColours)], "' title ", quoted(c.name));
    }
    script +=
        cat(data, labels(panel.title, panel.x, panel.y), panel.log_y ? "set logscale y\n" : "unset logscale y\n",
            &panel == &panels.back() ? cat("set key at screen ", double(left + kPanel) / width, ",0.92 left top\n")
                                     : "unset key\n",
            lines, "\n");
  }
  return draw_with_gnuplot(path, script + "unset multiplot\n");
}

bool plot_maps(const std::string& path, const std::string& title, const std::vector<Map>& maps, size_t columns) {
  const size_t rows = (maps.size() + columns - 1) / columns;
  std::string script = begin(int(560 * columns), int(500 * rows) + 40, rows, columns, title);
  script +=
      "unset key\nset size ratio 1\nset palette defined (0 '#fbfcff', .25 '#c3d7ee', .5 '#6fa3d6', .75 '#2a6bb0', 1 "
      "'#0d2c54')\n";
  for (const Map& m : maps) {
    std::string grid = "$grid << end\n", arrows = "$arrows << end\n";
    for (size_t iy = 0; iy < m.at_y.size(); ++iy) {
      for (size_t ix = 0; ix < m.at_x.size(); ++ix) {
        grid += cat(m.at_x[ix], " ", m.at_y[iy], " ", number(m.value[iy * m.at_x.size() + ix]), "\n");
      }
    }
    for (const Map::Arrow& a : m.arrows) arrows += cat(a.x, " ", a.y, " ", a.dx, " ", a.dy, "\n");
    script += cat(grid, "end\n", arrows, "end\n", labels(m.title, m.x, m.y), "set xrange [", m.at_x.front(), ":",
                  m.at_x.back(), "]\nset yrange [", m.at_y.front(), ":", m.at_y.back(), "]\nplot $grid with image");
    if (!m.arrows.empty()) script += ", $arrows with vectors head size screen 0.006,20 filled lw 1.2 lc rgb '#d1495b'";
    script += "\n";
  }
  return draw_with_gnuplot(path, script + "unset multiplot\n");
}

bool plot_intervals(const std::string& path, const std::vector<BarPanel>& panels) {
  constexpr int kPanel = 400;
  size_t most = 0, longest = 0;
  for (const BarPanel& p : panels) {
    most = std::max(most, p.bars.size());
    for (const Bar& b : p.bars) longest = std::max(longest, b.name.size());
  }
  const int names_width = room_for(longest), width = names_width + kPanel * int(panels.size());
  std::string script = begin(width, int(150 + 34 * most), 1, panels.size());
  script += "unset key\nset grid x lt 1 lc rgb '#e4e4e4'\n";
  for (const BarPanel& panel : panels) {
    const size_t n = panel.bars.size(), place = size_t(&panel - panels.data());
    const int left = names_width + kPanel * int(place);
    script += between(left, left + kPanel - 30, width);
    std::string data = "$bars << end\n", names;
    for (size_t i = 0; i < n; ++i) {
      const Bar& b = panel.bars[i];
      data += cat(number(b.value), " ", n - i, " ", number(b.low), " ", number(b.high), "\n");
      names += cat(i ? ", " : "", quoted(place == 0 ? b.name : ""), " ", n - i);
    }
    script += cat(data, "end\n", labels(panel.title, "95 % interval", ""),
                  "set xtics autofreq rotate by -45\nset ytics (", names, ")\nset yrange [0.4:", double(n) + 0.6,
                  "]\nplot $bars using 1:2:3:4 with xerrorbars pt 7 ps 1.2 lw 2 lc rgb '#1f6fb2'\n");
  }
  return draw_with_gnuplot(path, script + "unset multiplot\n");
}

}  // namespace telltale
