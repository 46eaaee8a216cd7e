# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
# make           build everything     make demo   the main job, with figures
# make check     all tests            make bench  QUICK=1 BENCH=REGEX
# make fuzz-semantics SECONDS=600      more random scripts than make check
# make check-kernels KERNELS="5.10 6.1"  what is promised, on booted kernels
# make arm64       all of it for arm64, in tests/bin/arm64; make check-kernels-arm64
# make install   PREFIX= DESTDIR=     make setup  what building and testing need

VERSION  := 0.1.0
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
LIBDIR   ?= $(PREFIX)/lib/sockshunt
DOCDIR   ?= $(PREFIX)/share/doc/sockshunt
# systemd looks below /usr/local and /usr; for another PREFIX, say where.
UNITDIR  ?= $(PREFIX)/lib/systemd/system

CC       := gcc
CLANG    ?= clang
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror
OUR_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -fPIC -fvisibility=hidden -MMD -MP \
	      -DSS_VERSION='"$(VERSION)"' -DSS_LIBDIR='"$(LIBDIR)"'
MULTIARCH = $(shell $(CC) -print-multiarch)
# asm/ differs by architecture; what is made of it does not: tests/arm64.bats.
BPF_CFLAGS = -O2 -g $(WARNINGS) -target bpf -mcpu=v3 -MMD -MP \
	      -I$(SYSROOT)/usr/include/$(MULTIARCH)
INIH     := -l:libinih.a

# "make arm64" builds elsewhere: where the sources are, and the libraries.
S :=
SYSROOT :=
vpath %.c $(S)
vpath %.S $(S)
vpath %.go $(S)
export GOARCH
sources = $(patsubst $(S)%,%,$(wildcard $(addprefix $(S),$(1))))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $@)

CONF_SRCS   := conf/conf.c conf/log.c
PINS_SRCS   := bpf/pins.c bpf/key.c bpf/permit.c
LOADER_SRCS := bpf/loader.c bpf/object.c bpf/usage.c \
	       $(call sources,bpf/selftest*.c)
SHIM_SRCS   := $(call sources,preload/*.c)
TOOL_SRCS   := $(call sources,tools/*.c)

objects = $(patsubst %.c,%.o,$(1))
SHIM_OBJS   := $(call objects,$(SHIM_SRCS) $(CONF_SRCS) $(PINS_SRCS))
LOAD_OBJS   := $(call objects,$(LOADER_SRCS) $(CONF_SRCS) $(PINS_SRCS)) \
	       bpf/embed.o
TOOL_OBJS   := $(call objects,$(TOOL_SRCS)) $(LOAD_OBJS)
HELPER_OBJS := bpf/loader_main.o $(LOAD_OBJS)

CUSTOM_OBJECTS := $(patsubst %,tests/bin/custom-%.bpf.o,MINIMAL NO_MAP \
		  NO_PROGRAM PROGRAM_TYPE MAP_TYPE KEY_SIZE VALUE_SIZE REJECTED)
VARIANTS := naive empty unmerged $(addprefix broken-,order bytes messages recv \
	    poll epoll end counts)
VARIANT_OBJECTS := $(patsubst %,tests/bin/%.bpf.o,$(VARIANTS))
BENCH_OBJECTS := $(addprefix tests/bin/,load verdict_cost naive.bpf.o \
		 empty.bpf.o pingpong libsockshunt-unguarded.so)
TEST_OBJECTS := $(VARIANT_OBJECTS) $(CUSTOM_OBJECTS) tests/bin/mesh.bpf.o
TEST_PROGS  := $(patsubst tests/progs/%.c,tests/bin/%,$(filter-out %.bpf.c, \
	       $(call sources,tests/progs/*.c))) tests/bin/semantics \
	       $(addprefix tests/bin/,load verdict_cost relay \
	       sockshunt-loader-naive)

.PHONY: FORCE all programs arm64 check check-kernels check-kernels-arm64 \
	fuzz-semantics demo bench setup install uninstall clean format lint
.DELETE_ON_ERROR:
all: preload/libsockshunt.so preload/sockshunt-loader tools/sockshunt
programs: all $(TEST_OBJECTS) $(TEST_PROGS)

%.bpf.o: %.bpf.c
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

# Variants for tests and benchmarks: the verdict without the rule, which the
# integrity test must find out; ours as on kernels that cannot merge; and with
# one promise broken, for the self-test.
VARIANT_naive           := -DSS_NAIVE
VARIANT_empty           := -DSS_NAIVE -DSS_EMPTY
VARIANT_unmerged        := -DSS_UNMERGED
VARIANT_broken-order    := -DSS_BROKEN -DSS_IGNORES=tcp_order
VARIANT_broken-bytes    := -DSS_BROKEN -DSS_IGNORES=tcp_room
VARIANT_broken-messages := -DSS_BROKEN -DSS_IGNORES=tcp_messages
VARIANT_broken-recv     := -DSS_BROKEN -DSS_HOLDS='"recv"'
VARIANT_broken-poll     := -DSS_BROKEN -DSS_HOLDS='"poll"'
VARIANT_broken-epoll    := -DSS_BROKEN -DSS_HOLDS='"epol"'
VARIANT_broken-end      := -DSS_BROKEN -DSS_HOLDS='"last"'
VARIANT_broken-counts   := -DSS_BROKEN -DSS_CUTS='"both"'
$(VARIANT_OBJECTS): tests/bin/%.bpf.o: bpf/sockshunt.bpf.c | tests/bin
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) $(VARIANT_$*) -c $< -o $@

# The loader with the object that its self-test must refuse.
tests/bin/sockshunt-loader-naive: $(filter-out bpf/embed.o,$(HELPER_OBJS)) \
				  tests/bin/embed-naive.o
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -lbpf $(INIH)

tests/bin/embed-naive.o: bpf/embed.S tests/bin/naive.bpf.o
	$(call say,AS)
	$(Q)$(CC) -DOBJECT='"tests/bin/naive.bpf.o"' -c $< -o $@

# For bpf_program_path: one object that is right, and each way to be wrong.
tests/bin/custom-%.bpf.o: tests/progs/custom.bpf.c | tests/bin
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -DCUSTOM_$* -c $< -o $@

tests/bin/mesh.bpf.o: tests/progs/mesh.bpf.c | tests/bin
	$(call say,BPF)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

# Flags are part of what an object is made of.
.flags: FORCE
	$(Q)echo '$(OUR_CFLAGS) $(CFLAGS)' | cmp -s - $@ || \
		echo '$(OUR_CFLAGS) $(CFLAGS)' >$@

%.o: %.c .flags
	$(call say,CC)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) -c $< -o $@

bpf/embed.o: bpf/embed.S bpf/sockshunt.bpf.o
	$(call say,AS)
	$(Q)$(CC) -DOBJECT='"bpf/sockshunt.bpf.o"' -c $< -o $@

# Everything but the hooks is hidden; libc is the only dependency. A segment
# less to map makes every exec cheaper; symbols are bound at once, because the
# dynamic linker's way to do it later may overflow a small signal stack.
preload/libsockshunt.so: $(SHIM_OBJS)
	$(call say,LD)
	$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-z,defs,-z,now,-z,noseparate-code,--as-needed \
		-Wl,--exclude-libs,ALL \
		-o $@ $(SHIM_OBJS) $(INIH)

# The same without guards, for bench/guards.sh.
tests/bin/libsockshunt-unguarded.so: $(SHIM_OBJS) bench/unguarded.map | tests/bin
	$(call say,LD)
	$(Q)$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-z,defs,-z,now,-z,noseparate-code,--as-needed \
		-Wl,--exclude-libs,ALL,--version-script=bench/unguarded.map \
		-o $@ $(SHIM_OBJS) $(INIH)

preload/sockshunt-loader: $(HELPER_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -lbpf $(INIH)

tools/sockshunt: $(TOOL_OBJS)
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -lbpf $(INIH)

tests/bin:
	$(Q)mkdir -p $@

tests/bin/set_abi tests/bin/sockmap_user tests/bin/hostile: bpf/permit.o conf/log.o
tests/bin/conf_dump: $(call objects,$(CONF_SRCS))
tests/bin/conf_dump: LIBS := $(INIH)
tests/bin/mesh: LIBS := -lbpf
tests/bin/filter tests/bin/twoends: LIBS := -lseccomp

tests/bin/semantics: $(call objects,$(call sources,tests/semantics/*.c)) | tests/bin
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ -luring

# The load of bench/cells/.
tests/bin/load: $(call objects,$(call sources,bench/load/*.c)) | tests/bin
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^

tests/bin/verdict_cost: bench/verdict_cost.o | tests/bin
	$(call say,LD)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lbpf

tests/bin/%: tests/progs/%.c | tests/bin
	$(call say,CC)
	$(Q)$(CC) $(filter-out -fPIC,$(OUR_CFLAGS)) $(CFLAGS) -pthread -o $@ \
		$(filter %.c %.o,$^) $(LIBS)

# A program that no shim can be loaded into.
tests/bin/relay: tests/progs/relay.go | tests/bin
	$(call say,GO)
	$(Q)CGO_ENABLED=0 GOCACHE=$(abspath tests/bin/go) GOFLAGS= \
		go build -o $@ $<

# The sandbox has no network: what suites need of other machines comes before.
check:
	$(Q)tools/setup.sh kernels containers
	$(Q)$(MAKE) -s --no-print-directory programs
	$(Q)for what in 'sysroot arm64' 'fetch 5.10' 'fetch 6.12' \
		"sysroot $$(dpkg --print-architecture) bullseye bash perl-base"; do \
		tests/kernels/$$what >/dev/null || :; \
	done
	$(Q)tests/run $(TESTS)

# Random scripts for as long as wanted; more options: tests/semantics/fuzz --help
SECONDS ?= 60
fuzz-semantics: setup
	$(Q)$(MAKE) -s --no-print-directory all tests/bin/semantics
	$(Q)tests/semantics/fuzz --seconds $(SECONDS) $(FUZZ)

# What is promised of each kernel; KERNELS="host 5.10 6.1 6.12 7", "quick 6.1".
check-kernels:
	$(Q)tools/setup.sh kernels
	$(Q)$(MAKE) -s --no-print-directory programs
	$(Q)tests/kernels/run $(KERNELS)

check-kernels-arm64:
	$(Q)tools/setup.sh kernels arm64
	$(Q)$(MAKE) -s --no-print-directory arm64
	$(Q)tests/kernels/run arm64 $(KERNELS)

# A tree of the same shape, with Debian's cross compiler and arm64 libraries.
ARM64 := tests/bin/arm64
arm64:
	$(Q)mkdir -p $(addprefix $(ARM64)/,bpf conf preload tools tests/bin tests/semantics bench/load)
	$(Q)sysroot=$$(tests/kernels/sysroot arm64) && \
	$(MAKE) --no-print-directory -C $(ARM64) -f $(CURDIR)/Makefile \
		S=$(CURDIR)/ SYSROOT=$$sysroot \
		CC="aarch64-linux-gnu-gcc --sysroot=$$sysroot" \
		GOARCH=arm64 programs

demo: setup
	$(Q)$(MAKE) -s --no-print-directory all tests/bin/integrity
	$(Q)tools/demo.sh

# More options: bench/run -h
bench:
	$(Q)tools/setup.sh bench
	$(Q)$(MAKE) -s --no-print-directory all $(BENCH_OBJECTS)
	$(Q)bench/run $(if $(QUICK),--quick) $(if $(BENCH),'$(BENCH)')

# Debian packages that are missing: installed as root, else named.
setup:
	$(Q)tools/setup.sh

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DOCDIR)
	install -m 755 tools/sockshunt $(DESTDIR)$(BINDIR)/
	install -m 644 preload/libsockshunt.so $(DESTDIR)$(LIBDIR)/
	install -m 755 preload/sockshunt-loader $(DESTDIR)$(LIBDIR)/
	install -m 755 tools/sockshunt-entrypoint $(DESTDIR)$(LIBDIR)/
	install -m 644 conf/containers/container.ini $(DESTDIR)$(LIBDIR)/
	install -m 644 bpf/sockshunt.bpf.o $(DESTDIR)$(LIBDIR)/
	install -m 644 README.md LICENSE conf/sockshunt.ini conf/50-sockshunt.conf \
		$(DESTDIR)$(DOCDIR)/
	install -d $(DESTDIR)$(UNITDIR)
	sed 's,/usr/local/bin/,$(BINDIR)/,; s,/usr/local/share/doc/sockshunt/,$(DOCDIR)/,' \
		conf/sockshunt.service >$(DESTDIR)$(UNITDIR)/sockshunt.service
	chmod 644 $(DESTDIR)$(UNITDIR)/sockshunt.service
	install -d $(DESTDIR)$(DOCDIR)/containers
	install -m 644 $(filter-out %.ini,$(wildcard conf/containers/*)) \
		$(DESTDIR)$(DOCDIR)/containers/

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/sockshunt
	rm -f $(DESTDIR)$(UNITDIR)/sockshunt.service
	rm -rf $(DESTDIR)$(LIBDIR) $(DESTDIR)$(DOCDIR)

SHELL_FILES = $(wildcard tests/*.bash tests/*/*.bash tests/*.bats) \
	      $(wildcard tools/*.sh bench/*.sh bench/*.bash bench/cells/*.bash) \
	      bench/run tools/sockshunt-entrypoint \
	      tests/run tests/semantics/run tests/systemd/boot .ci/run \
	      $(addprefix tests/kernels/,run fetch sysroot image boot init promises)
lint:
	$(Q)clang-format --dry-run -Werror $$(git ls-files '*.[ch]')
	$(Q)shellcheck -x $(SHELL_FILES)

format:
	$(Q)clang-format -i $$(git ls-files '*.[ch]')

clean:
	$(Q)rm -rf tests/bin preload/*.so preload/sockshunt-loader tools/sockshunt
	$(Q)rm -rf */*.o */*.d */*/*.o */*/*.d */__pycache__ tests/*/__pycache__

-include $(wildcard */*.d */*/*.d)
FORCE:
