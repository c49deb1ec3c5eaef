#include "weights/pickle.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <unordered_map>

#include "base/byte_reader.h"
#include "weights/pickle_globals.h"

namespace telltale {

namespace {

using Kind = PickleValue::Kind;

// A state_dict of a thousand tensors makes 25 000 values. More than this is no state_dict but an attack on memory.
constexpr size_t kMaxValues = 2'000'000, kMaxBytes = 64 << 20;

/// Python's pickletools has their meaning.
enum class Op : uint8_t {
  proto = 0x80,
  stop = '.',
  mark = '(',
  pop = '0',
  pop_mark = '1',
  dup = '2',
  none = 'N',
  new_true = 0x88,
  new_false = 0x89,
  binint = 'J',
  binint1 = 'K',
  binint2 = 'M',
  long1 = 0x8a,
  long4 = 0x8b,
  binfloat = 'G',
  binunicode = 'X',
  binstring = 'T',
  short_binstring = 'U',
  empty_tuple = ')',
  tuple = 't',
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  empty_list = ']',
  append = 'a',
  appends = 'e',
  list = 'l',
  empty_dict = '}',
  setitem = 's',
  setitems = 'u',
  dict = 'd',
  binput = 'q',
  long_binput = 'r',
  binget = 'h',
  long_binget = 'j',
  global = 'c',
  reduce = 'R',
  build = 'b',
  binpersid = 'Q',
  // Of protocol 2, for objects that are passed over:
  newobj = 0x81,
  // Of protocol 3:
  binbytes = 'B',
  short_binbytes = 'C',
  // Of protocol 4:
  short_binunicode = 0x8c,
  binunicode8 = 0x8d,
  binbytes8 = 0x8e,
  empty_set = 0x8f,
  additems = 0x90,
  frozenset = 0x91,
  newobj_ex = 0x92,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  // Of protocol 5:
  bytearray8 = 0x96,
};

std::string hex(unsigned byte) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", byte);
  return text;
}

}  // namespace

class PickleMachine {
 public:
  PickleMachine(std::span<const unsigned char> bytes, Pickle& result) : in_(bytes), result_(result) {}

  void run() {
    TT_CHECK(Op(in_.number<uint8_t>()) == Op::proto, DataError, "not a pickle of protocol 2 to 5");
    const int protocol = in_.number<uint8_t>();
    TT_CHECK(protocol >= 2 && protocol <= 5, DataError, "a pickle of protocol ", protocol,
             ": save it with torch.save's own, 2");
    for (;;) {
      const auto byte = in_.number<uint8_t>();
      if (Op(byte) == Op::stop) break;
      step(Op(byte));
    }
    result_.root_ = pop();
    TT_CHECK(stack_.empty() && marks_.empty(), DataError, "the pickle ends with values or marks left over");
    result_.size_ = in_.at();
  }
  uint64_t at() const { return in_.at(); }

 private:
  uint32_t add(PickleValue value) {
    TT_CHECK(result_.values_.size() < kMaxValues, DataError, "more than ", kMaxValues, " values");
    result_.values_.push_back(std::move(value));
    return uint32_t(result_.values_.size() - 1);
  }
  void push(PickleValue value) { stack_.push_back(add(std::move(value))); }
  void push_number(int64_t n) { push({.kind = Kind::integer, .integer = n}); }
  void push_text(uint64_t length, Kind kind = Kind::text) { push({.kind = kind, .text = text_of(in_.take(length))}); }
  /// The lowest place on the stack that belongs to the innermost mark.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  uint32_t pop() {
    TT_CHECK(stack_.size() > floor(), DataError, "the stack is empty");
    const uint32_t index = stack_.back();
    stack_.pop_back();
    return index;
  }
  /// What is filled: a value of that kind, or an object that is passed over (a Counter, a set), which keeps nothing.
  PickleValue& top(Kind kind, const char* what) {
    TT_CHECK(stack_.size() > floor(), DataError, "the stack is empty");
    PickleValue& value = result_.values_[stack_.back()];
    if (is_passed_over(value)) return nowhere_ = {};
    TT_CHECK(value.kind == kind, DataError, "something else than a ", what, " is filled as one");
    return value;
  }
  std::vector<uint32_t> pop_last(size_t count) {
    TT_CHECK(stack_.size() - floor() >= count, DataError, "the stack is empty");
    std::vector<uint32_t> items(stack_.end() - ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }
  std::vector<uint32_t> pop_to_mark() {
    TT_CHECK(!marks_.empty(), DataError, "no mark on the stack");
    std::vector<uint32_t> items = pop_last(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }
  static void extend(std::vector<uint32_t>& to, const std::vector<uint32_t>& items) {
    to.insert(to.end(), items.begin(), items.end());
  }
  static std::vector<uint32_t> pairs(std::vector<uint32_t> items) {
    TT_CHECK(items.size() % 2 == 0, DataError, "a dictionary's key has no value");
    return items;
  }
  void get(uint32_t key) {
    const auto it = memo_.find(key);
    TT_CHECK(it != memo_.end(), DataError, "memo ", key, " was never put");
    stack_.push_back(it->second);
  }
  void put(uint32_t key) {
    TT_CHECK(stack_.size() > floor(), DataError, "the stack is empty");
    memo_[key] = stack_.back();
    TT_CHECK(memo_.size() <= kMaxValues, DataError, "more than ", kMaxValues, " values in the memo");
  }
  void long_number(uint64_t length) {
    if (length > 8) return push_text(length, Kind::long_number);
    const auto bytes = in_.take(length);
    uint64_t n = length > 0 && (bytes.back() & 0x80) ? ~uint64_t(0) : 0;
    for (size_t i = bytes.size(); i-- > 0;) n = n << 8 | bytes[i];
    push_number(int64_t(n));
  }
  void real() {
    uint64_t bits = 0;
    for (unsigned char byte : in_.take(8)) bits = bits << 8 | byte;  // the only big-endian number in the format
    push({.kind = Kind::real, .real = std::bit_cast<double>(bits)});
  }

  void reduce() {
    const uint32_t arguments = pop(), callable = pop();
    const auto& values = result_.values_;
    TT_CHECK(values[callable].kind == Kind::global && values[arguments].kind == Kind::tuple, DataError,
             "something else than a known function is applied");
    const std::string_view name = values[callable].text;
    if (name == kOrderedDict) {
      push({.kind = Kind::dict, .items = ordered_items(values[arguments])});
    } else if (name == kSize) {
      const std::vector<uint32_t>& items = values[arguments].items;
      TT_CHECK(items.size() == 1 && values[items[0]].kind == Kind::tuple, DataError, "torch.Size is not given a tuple");
      stack_.push_back(items[0]);
    } else {
      TT_CHECK(is_rebuilding_function(name) || is_passed_over_global(name), DataError, name,
               " is applied, which PyTorch never does");
      push({.kind = Kind::object, .items = {callable, arguments}});
    }
  }
  /// OrderedDict(): Python 2 wrote its pairs as an argument, Python 3 fills it afterwards.
  std::vector<uint32_t> ordered_items(const PickleValue& arguments) {
    std::vector<uint32_t> items;
    if (arguments.items.empty()) return items;
    const auto& values = result_.values_;
    const PickleValue& list = values[arguments.items[0]];
    TT_CHECK(arguments.items.size() == 1 && list.kind == Kind::list, DataError,
             "OrderedDict is given something else than a list");
    // The one copy that its own bytes do not pay for: a list in the memo may be given to many OrderedDicts.
    TT_CHECK((copied_ += list.items.size()) <= kMaxValues, DataError, "more than ", kMaxValues, " values");
    for (uint32_t pair : list.items) {
      const PickleValue& p = values[pair];
      TT_CHECK((p.kind == Kind::list || p.kind == Kind::tuple) && p.items.size() == 2, DataError,
               "OrderedDict is given a list of something else than pairs");
      extend(items, p.items);
    }
    return items;
  }
  bool is_passed_over(const PickleValue& v) const {
    if (v.kind != Kind::object) return false;
    return v.items.empty() || is_passed_over_global(result_.values_[v.items[0]].text);
  }
  /// An object of a class that is passed over: its arguments are dropped.
  void new_object(size_t arguments) {
    pop_last(arguments);
    const uint32_t type = pop();
    const PickleValue& value = result_.values_[type];
    TT_CHECK(value.kind == Kind::global && (is_passed_over_global(value.text) || value.text == kOrderedDict), DataError,
             "an object of something else than a known class");
    push(value.text == kOrderedDict ? PickleValue{.kind = Kind::dict} : PickleValue{.kind = Kind::object});
  }
  /// A set: passed over with all that is in it.
  void new_set() { push({.kind = Kind::object}); }
  void stack_global() {
    const uint32_t name = pop(), module = pop();
    const auto& values = result_.values_;
    TT_CHECK(values[name].kind == Kind::text && values[module].kind == Kind::text, DataError,
             "a class is named by something else than texts");
    push({.kind = Kind::global, .text = allowed_global(values[module].text, values[name].text)});
  }
  /// Only attributes: a state_dict's _metadata, or an object's that is passed over. Nothing here has any.
  void build() {
    pop();
    top(Kind::dict, "dictionary");
  }

  void step(Op op) {
    switch (op) {
      case Op::mark: return marks_.push_back(stack_.size());
      case Op::pop: pop(); return;
      case Op::pop_mark: pop_to_mark(); return;
      case Op::dup: {
        const uint32_t index = pop();
        return stack_.insert(stack_.end(), {index, index}), void();
      }
      case Op::none: return push({});
      case Op::new_true: return push({.kind = Kind::boolean, .integer = 1});
      case Op::new_false: return push({.kind = Kind::boolean});
      case Op::binint: return push_number(in_.number<int32_t>());
      case Op::binint1: return push_number(in_.number<uint8_t>());
      case Op::binint2: return push_number(in_.number<uint16_t>());
      case Op::long1: return long_number(in_.number<uint8_t>());
      case Op::long4: return long_number(in_.number<uint32_t>());
      case Op::binfloat: return real();
      case Op::binunicode:
      case Op::binstring: return push_text(in_.number<uint32_t>());
      case Op::short_binstring: return push_text(in_.number<uint8_t>());
      case Op::empty_tuple: return push({.kind = Kind::tuple});
      case Op::tuple: return push({.kind = Kind::tuple, .items = pop_to_mark()});
      case Op::tuple1: return push({.kind = Kind::tuple, .items = pop_last(1)});
      case Op::tuple2: return push({.kind = Kind::tuple, .items = pop_last(2)});
      case Op::tuple3: return push({.kind = Kind::tuple, .items = pop_last(3)});
      case Op::empty_list: return push({.kind = Kind::list});
      case Op::list: return push({.kind = Kind::list, .items = pop_to_mark()});
      case Op::append: {
        const std::vector<uint32_t> item = pop_last(1);
        return extend(top(Kind::list, "list").items, item);
      }
      case Op::appends: {
        const std::vector<uint32_t> items = pop_to_mark();
        return extend(top(Kind::list, "list").items, items);
      }
      case Op::empty_dict: return push({.kind = Kind::dict});
      case Op::dict: return push({.kind = Kind::dict, .items = pairs(pop_to_mark())});
      case Op::setitem: {
        const std::vector<uint32_t> pair = pop_last(2);
        return extend(top(Kind::dict, "dictionary").items, pair);
      }
      case Op::setitems: {
        const std::vector<uint32_t> items = pairs(pop_to_mark());
        return extend(top(Kind::dict, "dictionary").items, items);
      }
      case Op::binput: return put(in_.number<uint8_t>());
      case Op::long_binput: return put(in_.number<uint32_t>());
      case Op::binget: return get(in_.number<uint8_t>());
      case Op::long_binget: return get(in_.number<uint32_t>());
      case Op::global: {
        const std::string_view module = in_.line(), name = in_.line();
        return push({.kind = Kind::global, .text = allowed_global(module, name)});
      }
      case Op::reduce: return reduce();
      case Op::build: return build();
      case Op::binpersid: return push({.kind = Kind::persistent, .items = pop_last(1)});
      case Op::newobj: return new_object(1);
      case Op::newobj_ex: return new_object(2);
      case Op::short_binbytes: return push_text(in_.number<uint8_t>(), Kind::bytes);
      case Op::binbytes: return push_text(in_.number<uint32_t>(), Kind::bytes);
      case Op::binbytes8:
      case Op::bytearray8: return push_text(in_.number<uint64_t>(), Kind::bytes);
      case Op::short_binunicode: return push_text(in_.number<uint8_t>());
      case Op::binunicode8: return push_text(in_.number<uint64_t>());
      case Op::empty_set: return new_set();
      case Op::additems:
        pop_to_mark();
        top(Kind::object, "set");
        return;
      case Op::frozenset: pop_to_mark(); return new_set();
      case Op::stack_global: return stack_global();
      case Op::memoize: return put(uint32_t(memo_.size()));
      case Op::frame: in_.number<uint64_t>(); return;  // how much follows before the next: of no use here
      case Op::proto:
      case Op::stop: break;
    }
    throw DataError(cat("instruction ", hex(unsigned(op)), " is none that a dictionary of tensors needs"));
  }

  ByteReader in_;
  Pickle& result_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, uint32_t> memo_;
  PickleValue nowhere_;  ///< takes what is put into an object that is passed over
  size_t copied_ = 0;
};

Pickle::Pickle(std::span<const unsigned char> bytes) {
  PickleMachine machine(bytes.first(std::min(bytes.size(), kMaxBytes)), *this);
  try {
    machine.run();
  } catch (const DataError& e) {
    throw DataError(cat("byte ", machine.at(), " of its pickle: ", e.what()));
  }
}

const PickleValue* Pickle::find(const PickleValue& dict, std::string_view key) const {
  for (size_t i = dict.items.size(); i >= 2; i -= 2) {
    const PickleValue& k = values_[dict.items[i - 2]];
    if (k.kind == Kind::text && k.text == key) return &values_[dict.items[i - 1]];
  }
  return nullptr;
}

}  // namespace telltale
