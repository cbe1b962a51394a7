"""gyre doctor: what this machine permits, in words and for programs."""

import json
import os
import platform
import resource

import children

OPTIONAL = ["no_sqarray", "no_iowait", "registered_ring", "multishot_accept", "accept_dontwait"]


def examine(**surroundings):
    outcome = children.run("doctor", "--json", **surroundings)
    return outcome, json.loads(outcome.out)


def environment(**changes):
    return {**os.environ, **changes}


class DoctorTest(children.ProgramTest):
    def setUp(self):
        self.requireUring()

    def test_json_says_what_there_is(self):
        outcome, report = examine()
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertEqual(report["kernel"], platform.release())
        self.assertTrue(report["usable"])
        self.assertEqual(report["auto"]["engine"], "uring")
        self.assertTrue(report["auto"]["reason"])
        uring, epoll = report["engines"]
        self.assertEqual((uring["name"], uring["usable"]), ("uring", True))
        self.assertEqual((epoll["name"], epoll["usable"]), ("epoll", True))
        self.assertGreaterEqual(uring["ring"]["sq_entries"], 8)
        self.assertGreaterEqual(uring["ring"]["cq_entries"], 2 * uring["ring"]["sq_entries"])

    def test_json_says_of_each_optional_feature_whether_it_is_on_and_why_not(self):
        _, report = examine(env=environment(GYRE_DISABLE="no_sqarray"))
        features = report["engines"][0]["optional"]
        self.assertEqual([feature["name"] for feature in features], OPTIONAL)
        for feature in features:
            self.assertIsInstance(feature["on"], bool)
            self.assertEqual("reason" in feature, not feature["on"], feature)
            self.assertTrue(feature["since"] and feature["effect"], feature)

    def test_what_the_environment_disables_is_off_for_that_reason_and_the_rest_is_not(self):
        before = {one["name"]: one for one in examine()[1]["engines"][0]["optional"]}
        for name in OPTIONAL:
            with self.subTest(name=name):
                _, report = examine(env=environment(GYRE_DISABLE=name))
                after = {one["name"]: one for one in report["engines"][0]["optional"]}
                self.assertFalse(after[name]["on"])
                if before[name]["on"]:
                    self.assertIn("GYRE_DISABLE", after[name]["reason"])
                for other in set(OPTIONAL) - {name}:
                    self.assertEqual(after[other], before[other])

    def test_a_disabled_feature_is_not_in_the_flags_of_the_ring(self):
        no_sqarray = 1 << 16  # IORING_SETUP_NO_SQARRAY
        _, before = examine()
        _, after = examine(env=environment(GYRE_DISABLE="no_sqarray"))
        flags = [report["engines"][0]["ring"]["setup_flags"] for report in (before, after)]
        self.assertEqual(flags[1], flags[0] & ~no_sqarray)

    def test_json_has_the_limits_of_the_process(self):
        def lower():
            resource.setrlimit(resource.RLIMIT_NOFILE, (500, 600))
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (2**20, 2**21))

        _, report = examine(preexec_fn=lower)
        self.assertEqual(report["limits"], {"nofile": {"soft": 500, "hard": 600},
                                            "memlock": {"soft": 2**20, "hard": 2**21}})

    def test_the_engine_of_the_environment_is_the_one_chosen_and_judged(self):
        for engine in ("uring", "epoll"):
            surroundings = {"env": environment(GYRE_ENGINE=engine)}
            outcome, report = examine(**surroundings)
            self.assertEqual(outcome.status, 0)
            self.assertEqual(report["chosen"], {"engine": engine, "by": f"GYRE_ENGINE={engine}"})
            self.assertEqual(report["auto"]["engine"], "uring", "what the machine permits")
            self.assertIn(f"engine chosen: {engine} (GYRE_ENGINE={engine})",
                          children.run("doctor", **surroundings).out)
        without = {name: text for name, text in os.environ.items() if name != "GYRE_ENGINE"}
        self.assertEqual(examine(env=without)[1]["chosen"], {"engine": "uring", "by": "auto"})

    def test_the_text_says_the_same(self):
        _, report = examine()
        outcome = children.run("doctor", env=environment(GYRE_DISABLE="no_sqarray"))
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        ring = report["engines"][0]["ring"]
        for words in (platform.release(), "engine uring: usable", "engine epoll: usable",
                      f"rings of {ring['sq_entries']}/{ring['cq_entries']} entries",
                      "engine auto: uring", "limit nofile: ", "limit memlock: "):
            self.assertIn(words, outcome.out)
        line = next(line for line in outcome.out.splitlines() if "no_sqarray" in line)
        self.assertRegex(line, r"no_sqarray +off +since 6\.6 .*GYRE_DISABLE")


if __name__ == "__main__":
    children.main()
