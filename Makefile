# Thin targets over cargo. `make help` lists them.
#
# The shared library is linked from the static one, which gives it symbol versions and hides all but rr_*; the cdylib that cargo
# makes beside it serves cargo's own users.

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
BINDIR     ?= $(PREFIX)/sbin
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
# Where Debian keeps the sources of Go packages; a GOPATH ends before its src.
GOCODE     ?= $(DATADIR)/gocode/src/github.com/riverrun/riverrun/bindings/go
DESTDIR    ?=
CC         ?= cc
CARGO      ?= cargo
PROFILE    ?= release

TARGET  := $(abspath $(or $(CARGO_TARGET_DIR),target))
OUT     := $(TARGET)/$(PROFILE)
STAGE   := $(TARGET)/stage
DEB     := $(TARGET)/deb
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The soname's number: 0 until 1.0, then the major version.
MAJOR   := $(firstword $(subst ., ,$(VERSION)))

# What a link needs besides the library itself: asked of the compiler, with an empty library, not typed here.
NATIVE_LIBS = $(shell d=$$(mktemp -d) && printf '' | rustc --crate-name empty --crate-type staticlib \
	--print native-static-libs -o "$$d/empty.a" - 2>&1 | sed -n 's/^note: native-static-libs: //p'; rm -rf "$$d")

STATIC ?= $(OUT)/libriverrun.a
SHARED ?= $(OUT)/c/libriverrun.so.$(VERSION)

.SILENT:
.PHONY: help build shared native-libs files stage-debug demo test test-engines test-guest bench lint header man install stage deb check-reproducible abi-baseline clean

help: ## this list
	sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

build: ## the library, static and shared, and the command line
	echo "==> build: cargo build --profile $(PROFILE:debug=dev)"
	$(CARGO) build --profile $(PROFILE:debug=dev) --lib --bins --quiet
	$(MAKE) --no-print-directory shared

# Also the door of tests/abi.rs, which links what it has just compiled: make shared STATIC=... SHARED=...
shared:
	mkdir -p $(dir $(SHARED))
	$(CC) -shared -o $(SHARED) -Wl,--whole-archive $(STATIC) -Wl,--no-whole-archive \
		-Wl,-soname,libriverrun.so.$(MAJOR) -Wl,--version-script=bindings/c/riverrun.map \
		-Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,-z,defs -Wl,-z,noexecstack -Wl,--as-needed $(NATIVE_LIBS)

# What tests/abi.rs links a static program with.
native-libs:
	echo $(NATIVE_LIBS)

install: build ## everything, under DESTDIR, PREFIX and LIBDIR
	$(MAKE) --no-print-directory files

# What `install` puts where, of whatever profile is built.
files:
	echo "==> install: $(DESTDIR)$(PREFIX)"
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(BINDIR)
	install -m 755 --strip $(SHARED) $(DESTDIR)$(LIBDIR)/libriverrun.so.$(VERSION)
	ln -sf libriverrun.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libriverrun.so.$(MAJOR)
	ln -sf libriverrun.so.$(MAJOR) $(DESTDIR)$(LIBDIR)/libriverrun.so
	install -m 644 $(STATIC) $(DESTDIR)$(LIBDIR)/libriverrun.a
	strip --strip-debug $(DESTDIR)$(LIBDIR)/libriverrun.a
	install -m 644 include/riverrun.h bindings/cpp/riverrun.hpp $(DESTDIR)$(INCLUDEDIR)
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${exec_prefix}/%)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBS_PRIVATE@|$(strip $(NATIVE_LIBS))|' \
		bindings/c/riverrun.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/riverrun.pc
	install -m 755 $(OUT)/riverrun $(DESTDIR)$(BINDIR)/riverrun
	for page in man/*.[1-9] man/man3/*.3; do \
		install -D -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/$$(basename $$page)"; \
	done
	for package in . gorunc; do \
		install -d $(DESTDIR)$(GOCODE)/$$package; \
		install -m 644 $$(ls bindings/go/$$package/*.go | grep -v _test) bindings/go/$$package/go.mod $(DESTDIR)$(GOCODE)/$$package; \
	done
	install -d $(DESTDIR)$(DATADIR)/bash-completion/completions $(DESTDIR)$(DATADIR)/zsh/vendor-completions \
		$(DESTDIR)$(DATADIR)/fish/vendor_completions.d
	$(OUT)/riverrun completion bash > $(DESTDIR)$(DATADIR)/bash-completion/completions/riverrun
	$(OUT)/riverrun completion zsh > $(DESTDIR)$(DATADIR)/zsh/vendor-completions/_riverrun
	$(OUT)/riverrun completion fish > $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/riverrun.fish

stage: ## an installation for trying, in target/stage
	$(MAKE) --no-print-directory install PREFIX=$(STAGE) LIBDIR=$(STAGE)/lib DESTDIR=

# The same of a debug build, for tests of what is installed.
stage-debug:
	$(MAKE) --no-print-directory shared files PROFILE=debug PREFIX=$(STAGE) LIBDIR=$(STAGE)/lib DESTDIR=

deb: ## Debian packages, in target/deb: libriverrun0, libriverrun-dev, riverrun
	tests/setup/packages deb
	$(MAKE) --no-print-directory build
	echo "==> deb: dpkg-buildpackage"
	rm -rf $(DEB)
	mkdir -p $(DEB)/riverrun-$(VERSION)
	cp -r packaging/debian $(DEB)/riverrun-$(VERSION)/debian
	cd $(DEB)/riverrun-$(VERSION) && RIVERRUN_SOURCE=$(CURDIR) PROFILE=$(PROFILE) CARGO_TARGET_DIR=$(TARGET) \
		dpkg-buildpackage --build=binary --no-sign --no-check-builddeps >../log 2>&1 || { tail -n 40 ../log; exit 1; }
	echo "==> deb: lintian"
	lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs $(DEB)/*.changes
	ls $(DEB)/*.deb

# Two builds of the same sources in two places, each told to forget where it was.
check-reproducible: ## two builds give the same bytes (two whole release builds)
	for place in a b; do \
		echo "==> check-reproducible: build $$place"; \
		rm -rf $(TARGET)/reproducible/$$place; mkdir -p $(TARGET)/reproducible/$$place/source; \
		git archive HEAD | tar -x -C $(TARGET)/reproducible/$$place/source; \
		RUSTFLAGS="--remap-path-prefix=$(TARGET)/reproducible/$$place=. --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo" \
			CARGO_TARGET_DIR=$(TARGET)/reproducible/$$place/target \
			$(MAKE) --no-print-directory -C $(TARGET)/reproducible/$$place/source build PROFILE=$(PROFILE) || exit 1; \
	done
	cd $(TARGET)/reproducible && for file in libriverrun.a c/libriverrun.so.$(VERSION) riverrun; do \
		cmp a/target/$(PROFILE)/$$file b/target/$(PROFILE)/$$file && sha256sum a/target/$(PROFILE)/$$file || exit 1; \
	done

demo: ## a real container, created from C through pkg-config (root)
	tests/setup/packages demo
	$(MAKE) --no-print-directory stage
	tests/setup/demo $(STAGE) $(TARGET)/demo

test-engines: ## containerd, Docker, Podman, buildah and CRI with riverrun as with runc (root, Debian)
	tests/setup/packages engines
	tests/engines/run

test: ## every test, packages and peers included; closes with the sum
	tests/setup/packages test
	if [ -x tests/peers/get-peer ]; then \
		echo "==> peers: newest runc and crun"; \
		tests/peers/get-peer runc crun >/dev/null || echo "==> peers: not to be had, the installed ones serve"; \
	else \
		echo "==> peers: no tests/peers/get-peer, the installed ones serve"; \
	fi
	tests/setup/packages engines || echo "==> engines: not to be had here"
	if [ "$$(id -u)" -eq 0 ]; then \
		echo "==> guest: built once, some minutes"; \
		tests/setup/packages vm && tests/vm/vm build >/dev/null 2>&1 || echo "==> guest: cannot be built here"; \
	fi
	tests/setup/run-tests

test-guest: ## the suites of a guest with systemd, cgroup v2 and AppArmor (built once: root, some minutes, 1 GiB in the cache)
	tests/vm/vm build
	tests/vm/run-guest-tests

bench: ## the comparison with runc and crun, checkpoints with runc (root)
	tests/setup/packages test
	$(CARGO) bench

lint: ## formatting and clippy, warnings are errors
	echo "==> lint: cargo fmt, cargo clippy"
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --quiet -- -D warnings

header: ## writes include/riverrun.h from src/ffi, and the man pages of its functions from it
	echo "==> header: include/riverrun.h, man/man3"
	RIVERRUN_BLESS=1 $(CARGO) test --quiet --test header committed_ >/dev/null
	python3 bindings/python/generate.py

abi-baseline: ## writes what abidiff compares with (abigail-tools): a release's business
	RIVERRUN_BLESS=1 $(CARGO) test --quiet --test guard abi_only_grows >/dev/null

man: ## writes the man pages from the command line's own table
	echo "==> man: man/"
	$(CARGO) run --quiet --bin riverrun -- man man

clean: ## what all of this made
	$(CARGO) clean --quiet
