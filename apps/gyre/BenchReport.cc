#include "BenchReport.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "Output.h"

namespace gyre {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double>, 5> kQuantiles = {
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}}};
constexpr double kBusy = 0.95;  // of its threads' time: from there on the load is the limit

const char* modeName(BenchMode mode) {
  switch (mode) {
    case BenchMode::Closed: return "closed";
    case BenchMode::Open: return "open";
    case BenchMode::Connect: return "connect";
    case BenchMode::Idle: return "idle";
  }
  return "";
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

double perSecond(const BenchTally& tally, std::uint64_t count) {
  return ratio(static_cast<double>(count), tally.seconds);
}

double cpuMicrosPerMessage(const BenchTally& tally) {
  return ratio(tally.cpuSeconds * 1e6, static_cast<double>(tally.messages));
}

double cpuShare(const BenchPlan& plan, const BenchTally& tally) {
  return ratio(tally.cpuSeconds, tally.seconds * static_cast<double>(plan.threads));
}

Json latencyJson(const LatencyHistogram& latency) {
  Json json = {{"min", latency.minMicros()}, {"mean", latency.meanMicros()}};
  for (const auto& [name, quantile] : kQuantiles) json[name] = latency.quantileMicros(quantile);
  json["max"] = latency.maxMicros();
  return json;
}

Json faultsJson(const BenchTally& tally) {
  Json json = Json::object();
  for (std::size_t i = 0; i < tally.faults.size(); ++i) {
    json[std::string(kBenchFaultNames[i])] = tally.faults[i];
  }
  return json;
}

Json planJson(const BenchPlan& plan) {
  Json json = {{"address", plan.address.toString()},
               {"mode", modeName(plan.mode)},
               {"connections", plan.connections},
               {"size", plan.size},
               {"reply_size", plan.replySize},
               {"depth", plan.depth},
               {"threads", plan.threads},
               {"checked", plan.isChecked}};
  if (plan.mode == BenchMode::Open) json["rate"] = plan.rate;
  return json;
}

void printJson(const BenchPlan& plan, const BenchOutcome& outcome) {
  const BenchTally& tally = outcome.tally;
  Json json = planJson(plan);
  json["engine"] = outcome.engine;
  json["interrupted"] = outcome.wasInterrupted;
  json["seconds"] = tally.seconds;
  json["messages"] = tally.messages;
  json["messages_per_second"] = perSecond(tally, tally.messages);
  json["bytes_sent"] = tally.bytesSent;
  json["bytes_received"] = tally.bytesReceived;
  json["connected"] = tally.connected;
  json["open"] = tally.open;
  json["latency_us"] = latencyJson(tally.latency);
  json["load_cpu_us"] = cpuMicrosPerMessage(tally);
  json["load_cpu_share"] = cpuShare(plan, tally);
  json["errors"] = faultsJson(tally);
  std::printf("%s\n", json.dump().c_str());
}

void printHead(const BenchPlan& plan, const BenchOutcome& outcome) {
  std::printf("%s: %s, %s, engine %s", plan.address.toString().c_str(),
              counted(plan.connections, "connection").c_str(),
              counted(plan.threads, "thread").c_str(), outcome.engine.c_str());
  if (plan.mode == BenchMode::Idle) {
    std::printf(", idle\n");
    return;
  }
  std::printf("; %zu B out, %zu B back", plan.size, plan.replySize);
  if (plan.mode == BenchMode::Closed) std::printf(", %zu deep\n", plan.depth);
  if (plan.mode == BenchMode::Open) std::printf(", %.0f messages/s due\n", plan.rate);
  if (plan.mode == BenchMode::Connect) std::printf(", a connection for each\n");
}

void printLatency(const LatencyHistogram& latency) {
  if (latency.count() == 0) return;
  std::printf("  latency µs:");
  for (const auto& [name, quantile] : kQuantiles) {
    std::printf("  %s %.1f", name, latency.quantileMicros(quantile));
  }
  std::printf("  max %.1f\n", latency.maxMicros());
}

void printText(const BenchPlan& plan, const BenchOutcome& outcome) {
  const BenchTally& tally = outcome.tally;
  printHead(plan, outcome);
  if (plan.mode == BenchMode::Idle) {
    std::printf("  %s held for %.2f s\n", counted(tally.open, "connection").c_str(), tally.seconds);
    return;
  }
  std::printf("  %.0f messages/s (%llu in %.2f s), %.1f MB/s out, %.1f MB/s back\n",
              perSecond(tally, tally.messages), static_cast<unsigned long long>(tally.messages),
              tally.seconds, perSecond(tally, tally.bytesSent) / 1e6,
              perSecond(tally, tally.bytesReceived) / 1e6);
  printLatency(tally.latency);
  const double share = cpuShare(plan, tally);
  std::printf("  the load used %.2f µs of CPU per message, %.0f %% of its %s%s\n",
              cpuMicrosPerMessage(tally), share * 100, counted(plan.threads, "thread").c_str(),
              share < kBusy ? "" : ": it may be the limit, try more --threads");
}

}  // namespace

void printBenchReport(const BenchPlan& plan, const BenchOutcome& outcome) {
  if (plan.printsJson) {
    printJson(plan, outcome);
  } else if (outcome.tally.connected > 0) {
    printText(plan, outcome);
  }
}

std::string benchComplaint(const BenchPlan& plan, const BenchOutcome& outcome) {
  const BenchTally& tally = outcome.tally;
  if (tally.connected == 0 && !outcome.wasInterrupted) {
    return "no connection to " + plan.address.toString() + " (" + tally.firstFault +
           "): is a server listening there?";
  }
  if (const std::uint64_t count = tally.faultCount(); count > 0) {
    std::string kinds;
    for (std::size_t i = 0; i < tally.faults.size(); ++i) {
      if (tally.faults[i] == 0) continue;
      kinds += ", " + std::string(kBenchFaultNames[i]) + " " + std::to_string(tally.faults[i]);
    }
    return std::to_string(count) + " error" + (count == 1 ? "" : "s") + kinds +
           " (the first: " + tally.firstFault + ")";
  }
  const bool isSilent = tally.messages == 0 && plan.mode != BenchMode::Idle;
  if (isSilent && !outcome.wasInterrupted) return "no message came back within the time";
  return "";
}

}  // namespace gyre
