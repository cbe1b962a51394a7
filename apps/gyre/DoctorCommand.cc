// gyre doctor: what this machine lets gyre do, and why not more.
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "Commands.h"
#include "Output.h"
#include "gyre/proactor/EngineReport.h"

namespace gyre {
namespace {

using Json = nlohmann::ordered_json;

Json limitOf(int resource) {
  rlimit limit{};
  ::getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  const auto value = [](rlim_t one) {
    return one == RLIM_INFINITY ? Json("unlimited") : Json(one);
  };
  return {{"soft", value(limit.rlim_cur)}, {"hard", value(limit.rlim_max)}};
}

Json describe(const EngineReport& report) {
  Json engine = {{"name", engineName(report.engine)}, {"usable", report.usable}};
  if (!report.usable) {
    engine["cause"] = report.cause;
    engine["cure"] = report.cure;
  }
  if (!report.usable || report.engine == Engine::Epoll) return engine;
  engine["ring"] = {{"sq_entries", report.grant.submissionEntries},
                    {"cq_entries", report.grant.completionEntries},
                    {"setup_flags", report.grant.setupFlags},
                    {"features", report.grant.features}};
  Json& features = engine["optional"] = Json::array();
  for (const FeatureReport& feature : report.features) {
    Json one = {{"name", feature.name},
                {"since", feature.since},
                {"on", feature.on},
                {"effect", feature.effect}};
    if (!feature.on) one["reason"] = feature.reason;
    features.push_back(std::move(one));
  }
  return engine;
}

Json describeChoice(const EngineReport& uring) {
  try {
    const EngineChoice choice = chooseEngine();
    // The kernel has io_uring, so no other engine is chosen; what is asked of it does not fit.
    if (choice.engine == Engine::Uring && !uring.usable) {
      return {{"engine", nullptr}, {"reason", "io_uring would be chosen and fail: " + uring.cause}};
    }
    return {{"engine", engineName(choice.engine)}, {"reason", choice.reason}};
  } catch (const std::exception& error) {
    return {{"engine", nullptr}, {"reason", error.what()}};
  }
}

// What a server started here would run on: GYRE_ENGINE, or what auto comes to.
Json describeChosen(const ProactorOptions& options, const Json& automatic) {
  if (options.engine == Engine::Auto) return {{"engine", automatic["engine"]}, {"by", "auto"}};
  const std::string name(engineName(options.engine));
  return {{"engine", name}, {"by", "GYRE_ENGINE=" + name}};
}

Json examine() {
  utsname kernel{};
  ::uname(&kernel);
  const ProactorOptions options = defaultProactorOptions();
  const EngineReport uring = inspectUring(options);
  const EngineReport epoll = inspectEpoll(options);
  const Json automatic = describeChoice(uring);
  return {{"gyre", GYRE_VERSION},
          {"kernel", kernel.release},
          {"engines", Json::array({describe(uring), describe(epoll)})},
          {"auto", automatic},
          {"chosen", describeChosen(options, automatic)},
          {"limits", {{"nofile", limitOf(RLIMIT_NOFILE)}, {"memlock", limitOf(RLIMIT_MEMLOCK)}}},
          {"usable", options.engine == Engine::Epoll ? epoll.usable : uring.usable}};
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void print(const Json& report) {
  std::printf("gyre %s on Linux %s\n", text(report["gyre"]).c_str(),
              text(report["kernel"]).c_str());
  for (const Json& engine : report["engines"]) {
    if (!engine["usable"].get<bool>()) {
      std::printf("engine %s: not usable: %s\n  cure: %s\n", text(engine["name"]).c_str(),
                  text(engine["cause"]).c_str(), text(engine["cure"]).c_str());
      continue;
    }
    if (!engine.contains("ring")) {
      std::printf("engine %s: usable\n", text(engine["name"]).c_str());
      continue;
    }
    std::printf("engine %s: usable, rings of %s/%s entries\n", text(engine["name"]).c_str(),
                text(engine["ring"]["sq_entries"]).c_str(),
                text(engine["ring"]["cq_entries"]).c_str());
    for (const Json& feature : engine["optional"]) {
      const bool on = feature["on"].get<bool>();
      std::printf("  %-17s %-3s  since %-5s %s\n", text(feature["name"]).c_str(), on ? "on" : "off",
                  text(feature["since"]).c_str(),
                  text(on ? feature["effect"] : feature["reason"]).c_str());
    }
  }
  const Json& choice = report["auto"]["engine"];
  std::printf("engine auto: %s: %s\n", choice.is_null() ? "none" : text(choice).c_str(),
              text(report["auto"]["reason"]).c_str());
  const Json& chosen = report["chosen"]["engine"];
  std::printf("engine chosen: %s (%s)\n", chosen.is_null() ? "none" : text(chosen).c_str(),
              text(report["chosen"]["by"]).c_str());
  for (const auto& [name, limit] : report["limits"].items()) {
    std::printf("limit %s: %s (hard %s)\n", name.c_str(), text(limit["soft"]).c_str(),
                text(limit["hard"]).c_str());
  }
}

}  // namespace

void addDoctorCommand(CLI::App& app, int& status) {
  auto asJson = std::make_shared<bool>(false);
  CLI::App* command =
      app.add_subcommand("doctor", "what this machine lets gyre do, and why not more");
  command->add_flag("--json", *asJson, "for programs")->disable_flag_override();
  command->callback([asJson, &status] {
    const Json report = examine();
    if (*asJson) {
      std::printf("%s\n", report.dump(2).c_str());
    } else {
      print(report);
    }
    requirePrinted();
    status = report["usable"].get<bool>() ? 0 : 1;
  });
}

}  // namespace gyre
