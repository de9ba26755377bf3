# Slipway: two commands matter, `make run` and `make test`; `make help` lists
# the rest.  One non-recursive Makefile; objects go to build/VARIANT/.

VARIANT ?= release
PREFIX  ?= /usr/local
BINDIR     = $(PREFIX)/bin
LIBEXECDIR = $(PREFIX)/libexec/slipway
MANDIR     = $(PREFIX)/share/man
CC      ?= cc
B        = build/$(VARIANT)
VERSION  = 0.1.0
# Sub-makes use all processors, unless -j was given.
JOBS     = $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(shell nproc))

# ---- what the distribution gives (contrib/deps installs what is missing) ----

BUILD_DEPS = gcc libc6-dev pkg-config libssh-dev libgit2-dev \
	libcurl4-openssl-dev libjansson-dev libsqlite3-dev libssl-dev \
	libseccomp-dev libprotobuf-c-dev protobuf-c-compiler libnghttp2-dev \
	libexpat1-dev
RUN_DEPS   = git haproxy docker.io|dockerd iptables busybox-static \
	openssh-client curl ca-certificates procps
TEST_DEPS  = libcmocka-dev perl python3 python3-paramiko python3-dulwich \
	dropbear-bin putty-tools libjgit-java default-jdk-headless \
	docker-registry apache2-utils openssh-server sqlite3 jq wrk \
	iproute2 python3-botocore awscli python3-boto3 util-linux python3-yaml \
	nodejs|node npm|npm
DEMO_DEPS  = python3 python3-botocore docker-registry
CHECK_DEPS = clang-format-14 cppcheck python3
FUZZ_DEPS  = clang-14 libclang-rt-14-dev

PKGS = libssh libgit2 libcurl jansson sqlite3 libcrypto libseccomp \
       libprotobuf-c libnghttp2 expat

WARN = -Wall -Wextra -Wshadow -Wformat=2 -Wvla -Wstrict-prototypes \
       -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
       -Wimplicit-fallthrough
CPPFLAGS += -I. -I$(B)/gen -D_GNU_SOURCE -DSLIPWAY_VERSION='"$(VERSION)"' \
            -DLIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS_release = -O2 -g -fPIE -fstack-protector-strong
CPP_release    = -D_FORTIFY_SOURCE=2
LD_release     = -pie -Wl,-z,relro,-z,now
CFLAGS_debug   = -O0 -g3
CFLAGS_fuzz    = -O1 -g -fsanitize=fuzzer-no-link,address,undefined
LD_fuzz        = -fsanitize=address,undefined
CFLAGS_asan    = -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer \
                 -fno-sanitize-recover=undefined
LD_asan        = -fsanitize=address,undefined
ifneq ($(CI),)
WARN += -Werror
endif

ALL_CFLAGS   = -std=gnu11 $(WARN) $(CFLAGS_$(VARIANT)) $(CFLAGS)
ALL_CPPFLAGS = $(CPPFLAGS) $(CPP_$(VARIANT)) $(PKG_CFLAGS)
ALL_LDFLAGS  = $(LD_$(VARIANT)) -Wl,--as-needed $(LDFLAGS)
LIBS         = $(PKG_LIBS)
PKG_CFLAGS  := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null)

# A program is X_main.c; every other source goes into its folder's archive.
SRC      := $(shell find base receiver hooks ctl builder -name '*.c')
PROTO    := $(wildcard builder/engine/*.proto)
GEN_C    := $(PROTO:%.proto=$(B)/gen/%.pb-c.c)
MAINS    := $(filter %_main.c,$(SRC))
LIB_SRC  := $(filter-out $(MAINS),$(SRC))
OBJ       = $(patsubst %.c,$(B)/%.o,$(1))
ARCHIVES  = $(B)/receiver.a $(B)/hooks.a $(B)/ctl.a $(B)/builder.a $(B)/base.a

PROGRAMS = $(B)/bin/slipway $(B)/bin/slipway-receiver \
           $(B)/bin/slipway-builder $(B)/bin/slipway-worker \
           $(B)/libexec/hooks/proc-receive

TOOL_SRC  := $(wildcard tests/e2e/tools/*.c)
TOOLS      = $(TOOL_SRC:tests/e2e/tools/%.c=$(B)/tests/tools/%)
FUZZ_SRC  := $(wildcard tests/fuzz/fuzz_*.c)
REPLAYS    = $(FUZZ_SRC:tests/fuzz/%.c=$(B)/tests/replay/%)
FUZZERS    = $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/tests/%)
UNIT_SRC  := $(wildcard tests/unit/test_*.c)
UNITS      = $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)

all: $(PROGRAMS)

.SECONDARY:
.DELETE_ON_ERROR:

define ARCHIVE
$(B)/$(1).a: $(call OBJ,$(filter $(1)/%,$(LIB_SRC))) $(2)
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(eval $(call ARCHIVE,base))
$(eval $(call ARCHIVE,receiver))
$(eval $(call ARCHIVE,hooks))
$(eval $(call ARCHIVE,ctl))
$(eval $(call ARCHIVE,builder,$(GEN_C:.c=.o)))

$(B)/%.o: %.c $(GEN_C)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The one file that knows where we are installed: made again when that changes.
$(B)/base/proc.o: $(B)/libexecdir
$(B)/libexecdir: FORCE
	@mkdir -p $(@D)
	@echo '$(LIBEXECDIR)' | cmp -s - $@ || echo '$(LIBEXECDIR)' >$@

$(B)/gen/%.pb-c.c: %.proto
	@mkdir -p $(B)/gen
	protoc-c --c_out=$(B)/gen $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(CC) $(ALL_CPPFLAGS) -std=gnu11 $(CFLAGS_$(VARIANT)) -c -o $@ $<

LINK = $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bin/slipway: $(B)/ctl/slipway_main.o $(B)/ctl.a $(B)/base.a
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/slipway-receiver: $(B)/receiver/receiver_main.o $(B)/receiver.a $(B)/base.a
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/slipway-builder: $(B)/builder/builder_main.o $(B)/builder.a $(B)/base.a
	@mkdir -p $(@D)
	$(LINK)
$(B)/bin/slipway-worker: $(B)/builder/worker_main.o $(B)/builder.a $(B)/base.a
	@mkdir -p $(@D)
	$(LINK)
$(B)/libexec/hooks/proc-receive: $(B)/hooks/proc_receive_main.o $(B)/hooks.a $(B)/base.a
	@mkdir -p $(@D)
	$(LINK)

$(B)/tests/%: tests/unit/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(ARCHIVES) $(LIBS) -lcmocka

$(B)/tests/tools/%: tests/e2e/tools/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< $(ARCHIVES) $(LIBS)

# A fuzz target with an ordinary main that replays its corpus.
$(B)/tests/replay/%: tests/fuzz/%.c tests/fuzz/replay_main.c $(ARCHIVES)
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^) $(ARCHIVES) $(LIBS)

build/fuzz/tests/%: tests/fuzz/%.c $(ARCHIVES)
	@mkdir -p $(@D)
	clang-14 $(ALL_CPPFLAGS) $(ALL_CFLAGS) -fsanitize=fuzzer,address,undefined -o $@ $< $(ARCHIVES) $(LIBS)

units: $(UNITS)
test-programs: $(PROGRAMS) $(UNITS) $(TOOLS) $(REPLAYS)

# ---- what people type ----

help:
	@echo 'make run           install what is missing, build, start, push the example'
	@echo '                   (DETACH=1 leaves it running; make run-stop stops it)'
	@echo 'make demo-aws      pushes to ECR and ECS, without an account: on a double'
	@echo 'make test          install what the tests need, run all of them'
	@echo 'make check         format, lint, cppcheck'
	@echo 'make asan          the tests with address and undefined sanitizers'
	@echo 'make bench         timings against sshd + git + a shell hook'
	@echo 'make fuzz          build fuzzers; FUZZ=name SECONDS=60 runs one'
	@echo 'make install       DESTDIR= PREFIX=/usr/local'

deps:
	@contrib/deps $(foreach p,$(BUILD_DEPS) $(RUN_DEPS),'$(p)')

test-deps: deps
	@contrib/deps $(foreach p,$(TEST_DEPS),'$(p)')

run: deps
	@+$(MAKE) --no-print-directory -s $(JOBS) all VARIANT=release
	@contrib/run

demo-aws: deps
	@contrib/deps $(DEMO_DEPS)
	@+$(MAKE) --no-print-directory -s $(JOBS) all VARIANT=release
	@contrib/demo-aws

run-stop:
	@contrib/run stop

# Sub-makes: pkg-config may only just have been installed.
test: test-deps
	@+$(MAKE) --no-print-directory -s $(JOBS) test-programs
	@tests/run $(TESTS)

asan: test-deps
	@+$(MAKE) --no-print-directory -s $(JOBS) test-programs VARIANT=asan
	@VARIANT=asan tests/run $(TESTS)

check:
	@contrib/deps $(BUILD_DEPS) $(CHECK_DEPS)
	@tests/lint/run

bench: test-deps
	@+$(MAKE) --no-print-directory -s $(JOBS) test-programs VARIANT=release
	@tests/bench/run

# What it finds goes to build/fuzz/; the corpus only grows by hand.
fuzz:
	@contrib/deps $(BUILD_DEPS) $(FUZZ_DEPS)
	@+$(MAKE) --no-print-directory -s $(JOBS) fuzzers VARIANT=fuzz CC=clang-14
	$(if $(FUZZ),@mkdir -p build/fuzz/found/$(FUZZ))
	$(if $(FUZZ),build/fuzz/tests/fuzz_$(FUZZ) -max_total_time=$(or $(SECONDS),60) \
		-timeout=10 -artifact_prefix=build/fuzz/ \
		build/fuzz/found/$(FUZZ) tests/fuzz/corpus/$(FUZZ))
fuzzers: $(FUZZERS)

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR)/hooks
	install -m 755 $(B)/bin/slipway $(DESTDIR)$(BINDIR)/
	install -m 755 $(B)/bin/slipway-receiver $(B)/bin/slipway-builder \
		$(B)/bin/slipway-worker $(DESTDIR)$(LIBEXECDIR)/
	install -m 755 $(B)/libexec/hooks/proc-receive $(DESTDIR)$(LIBEXECDIR)/hooks/
	for page in docs/man/*.[1-8]; do \
		section=$${page##*.}; \
		install -d $(DESTDIR)$(MANDIR)/man$$section; \
		install -m 644 $$page $(DESTDIR)$(MANDIR)/man$$section/; \
	done
	install -d $(DESTDIR)$(PREFIX)/share/doc/slipway $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 contrib/slipway.conf $(DESTDIR)$(PREFIX)/share/doc/slipway/
	sed 's,@BINDIR@,$(BINDIR),' contrib/slipway.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/slipway.service

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/slipway
	rm -rf $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(PREFIX)/share/doc/slipway
	rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/slipway.service
	for page in docs/man/*.[1-8]; do \
		rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; \
	done

clean:
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)

.PHONY: all units test-programs help deps test-deps run run-stop demo-aws test asan \
	check bench fuzz fuzzers install uninstall clean FORCE
