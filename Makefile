# make run     a demonstration registry on localhost, from a bare machine
# make test    vet and tests, with what they need: under ten minutes
# make race    the tests of all packages under the race detector, but those that start the program or live through virtual weeks: some minutes
# make world   the proof at real size, with every validator: ten minutes, needs ../shared
# make interop the proof against Krill, as child, parent and publication server: ten minutes, needs ../shared
# make moves   the proof that resources move without a gap, before validators that fetch all the time: twenty minutes, needs ../shared;
#              MOVES='-only between' plays one act
# make attack  the proof that nobody takes more than their share, or says what is not theirs to say: some minutes; ATTACK='-only flips'
#              plays one attack
# make bench   what is measured against what it is bound by: half an hour, needs ../shared
# make bench-world  the same at the size of the whole Internet; needs ../shared.
#              BENCH_WORLD='-share 0.05' builds a twentieth of it
# make lint    golangci-lint by .golangci.yml
#
# Root on Debian gets what is missing by itself; anyone else is told what to install, and as much as can be is done.

GO     ?= go
SHARED ?= ../shared
export RP_HOME ?= /opt/rp

LINT_VERSION := v2.15.0
LINT         := $(shell $(GO) env GOPATH)/bin/golangci-lint

.PHONY: run test race world interop moves attack bench bench-world lint lint-program

run:
	@$(call need,rsync)
	@$(GO) build -o cadastre ./cmd/cadastre && exec ./cadastre demo --data demo-data

test:
	@$(call need,rsync jing jq openssl)
	$(GO) vet ./...
	$(GO) test -timeout 20m ./...

# The race detector needs a C compiler. Programs that scripts start, a thousand of them, are many times slower with it, and have
# few goroutines: the daemon's are those of the packages below. Random draws are a fifth of those of make test (-short). The tests
# that are left out live through weeks of virtual time: together they take half of it all, and what they do others do for a shorter while.
LONG := TestDistrusted|TestAbandonedAtOdds|TestProvenBeforeAccepted|TestRefusalsKeepProducts|TestAnchorOffline|TestNoFileAloneEmptiesARegistry|TestOneBadAuthorityHoldsUpNobody

race:
	@$(call need,gcc rsync)
	$(GO) test -race -short -skip '^($(LONG))$$' -timeout 30m $$($(GO) list ./... | grep -v -e /cmd/ -e /test/)

world:
	@if [ -d $(SHARED)/rp ] && [ "$$(id -u)" = 0 ]; then $(SHARED)/rp/install --routinator >/dev/null; fi
	@$(GO) run ./test/world

# Krill is built with cargo, once: that takes as long again.
interop:
	@$(call need,rsync jing jq openssl)
	@if [ -d $(SHARED)/rp ] && [ "$$(id -u)" = 0 ]; then $(SHARED)/rp/install --routinator --krill >/dev/null; fi
	@$(GO) run ./test/interop

moves:
	@$(call need,rsync jq openssl)
	@if [ -d $(SHARED)/rp ] && [ "$$(id -u)" = 0 ]; then $(SHARED)/rp/install --routinator --krill >/dev/null; fi
	@$(GO) run ./test/moves $(MOVES)

attack:
	@$(call need,rsync)
	@$(GO) run ./test/attack $(ATTACK)

bench:
	@if [ -d $(SHARED)/rp ] && [ "$$(id -u)" = 0 ]; then $(SHARED)/rp/install --routinator --krill >/dev/null; fi
	@$(GO) run ./test/bench

bench-world:
	@$(GO) run ./test/benchworld $(BENCH_WORLD)

lint:
	@$(MAKE) --no-print-directory lint-program || echo "make: linting is left out"
	@[ ! -x $(LINT) ] || $(LINT) run ./...

lint-program:
	@[ -x $(LINT) ] || $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

# need makes sure of programs whose Debian packages have their names. What it cannot get it names, and that is all: tests
# without their program skip, and say so.
define need
missing=; for p in $(1); do command -v $$p >/dev/null || missing="$$missing $$p"; done; \
case "$$missing" in *gcc*) missing="$$missing libc6-dev";; esac; \
if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1 || \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } >/dev/null || true; \
fi; \
for p in $(1); do command -v $$p >/dev/null || echo "make: $$p is not on this machine; get it with 'apt-get install $$p'"; done
endef
