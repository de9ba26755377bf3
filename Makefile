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

PKGS = libssh libgit2 libcurl jansson sqlite3 libcrypto libseccomp \
       libprotobuf-c libnghttp2

WARN = -Wall -Wextra -Wshadow -Wformat=2 -Wvla -Wstrict-prototypes \
       -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
       -Wimplicit-fallthrough
CPPFLAGS += -I. -I$(B)/gen -D_GNU_SOURCE -DSLIPWAY_VERSION='"$(VERSION)"' \
            -DLIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS_release = -O2 -g -fPIE -fstack-protector-strong
CPP_release    = -D_FORTIFY_SOURCE=2
LD_release     = -pie -Wl,-z,relro,-z,now
CFLAGS_debug   = -O0 -g3
CFLAGS_asan    = -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer \
                 -fno-sanitize-recover=undefined
LD_asan        = -fsanitize=address,undefined
ifneq ($(CI),)
WARN += -Werror
endif

ALL_CFLAGS   = -std=gnu11 $(WARN) $(CFLAGS_$(VARIANT)) $(CFLAGS)
ALL_CPPFLAGS = $(CPPFLAGS) $(CPP_$(VARIANT)) $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
ALL_LDFLAGS  = $(LD_$(VARIANT)) -Wl,--as-needed $(LDFLAGS)
LIBS         = $(shell pkg-config --libs $(PKGS) 2>/dev/null)

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

units: $(UNITS)

-include $(shell find build -name '*.d' 2>/dev/null)

.PHONY: all units
