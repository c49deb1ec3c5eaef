#pragma once
// What a piece of work came to, as bytes that another process can read: its text, or what it threw.
#include <functional>
#include <string>

namespace telltale {

/// Runs it. UsageError, DataError and any other exception become Error's kin of the same words.
std::string outcome_of(const std::function<std::string()>& work);
/// The text, or the exception.
std::string text_of(const std::string& outcome);
/// Whether text_of would throw.
bool failed(const std::string& outcome);

}  // namespace telltale
