// loop.cpp: containers in a host's own event loop.
//
//     c++ -std=c++17 loop.cpp $(pkg-config --cflags --libs riverrun) -o loop && sudo ./loop web=/bundles/web db=/bundles/db
//
// Everything that happens to the containers is a descriptor: their output (pipes), their events (one stream each), the signals
// of this process. So a loop that exists (libuv's, ASIO's, Qt's) takes them in as it takes sockets in; here it is twenty lines
// over epoll. Nothing blocks, nothing is a thread. SIGTERM and SIGINT stop the containers, and when all have ended so does this.
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <iostream>
#include <map>
#include <riverrun.hpp>

namespace {

[[noreturn]] void fail(const char *what) { throw std::system_error(errno, std::generic_category(), what); }

/// Calls functions when descriptors are readable, as long as it has any but the signals'.
class Loop {
 public:
  void add(int fd, std::function<void()> readable) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = fd;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &wanted) < 0) fail("epoll_ctl");
    functions_[fd] = std::move(readable);
  }
  /// Before the descriptor is closed; a function may remove its own.
  void remove(int fd) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    functions_.erase(fd);
  }
  void run(const bool &over) {
    while (!over) {
      epoll_event event;
      int n = epoll_wait(epoll_.get(), &event, 1, -1);
      if (n < 0 && errno != EINTR) fail("epoll_wait");
      auto found = n == 1 ? functions_.find(event.data.fd) : functions_.end();
      if (found == functions_.end()) continue;
      auto function = found->second;  // It may remove itself.
      function();
    }
  }

 private:
  riverrun::Fd epoll_{epoll_create1(EPOLL_CLOEXEC)};
  std::map<int, std::function<void()>> functions_;
};

/// One container: its output line by line, what happens to it, its end.
class Service {
 public:
  Service(Loop &loop, const riverrun::Context &context, std::string name, const std::string &bundle,
          std::function<void()> ended)
      : loop_(loop), name_(std::move(name)), ended_(std::move(ended)), container_(create(context, bundle)),
        events_(container_.events()) {
    follow(container_.pipes.out, out_);
    follow(container_.pipes.err, err_);
    loop_.add(events_.fd(), [this] { hear(events_.next()); });
    container_.start();
  }

  void stop() {
    if (over_) return;
    try {
      container_.kill(SIGTERM);
    } catch (const riverrun::Error &error) {
      if (error.code() != RR_E_NOT_RUNNING) throw;  // Its end is on its way.
    }
  }
  [[nodiscard]] int status() const { return status_; }

 private:
  [[nodiscard]] riverrun::Container create(const riverrun::Context &context, const std::string &bundle) const {
    riverrun::CreateOptions options;
    options.io.in = riverrun::Stream::null();
    options.io.out = options.io.err = riverrun::Stream::pipe();
    return context.create(name_, riverrun::Bundle{bundle}, options);
  }

  void follow(riverrun::Fd &pipe, std::string &rest) {
    fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
    loop_.add(pipe.get(), [this, &pipe, &rest] {
      ssize_t n = read(pipe, rest);
      if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
      loop_.remove(pipe.get());
      pipe.reset();
    });
  }
  /// Prints whole lines; as read(2), 0 at the end.
  ssize_t read(const riverrun::Fd &pipe, std::string &rest) const {
    char bytes[4096];
    ssize_t n = ::read(pipe.get(), bytes, sizeof bytes);
    if (n > 0) rest.append(bytes, static_cast<size_t>(n));
    if (n == 0 && !rest.empty()) rest += '\n';
    for (size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1))
      std::cout << name_ << " | " << rest.substr(0, end) << std::endl;
    return n;
  }

  void hear(const riverrun::Event &event) {
    if (event.type == RR_EV_OOM_KILL) std::cout << name_ << ": out of memory" << std::endl;
    if (event.type == RR_EV_EXIT) status_ = event.exit_signal ? 128 + event.exit_signal : event.exit_code;
    if (event.type != RR_EV_END) return;
    loop_.remove(events_.fd());
    // What was printed last is still in the pipes.
    for (auto [pipe, rest] : {std::pair{&container_.pipes.out, &out_}, std::pair{&container_.pipes.err, &err_}}) {
      if (!*pipe) continue;
      loop_.remove(pipe->get());
      while (read(*pipe, *rest) > 0) {
      }
      pipe->reset();
    }
    container_.remove(RR_DELETE_FORCE);
    over_ = true;
    std::cout << name_ << ": ended with " << status_ << std::endl;
    ended_();
  }

  Loop &loop_;
  std::string name_, out_, err_;
  std::function<void()> ended_;
  riverrun::Container container_;
  riverrun::EventStream events_;
  int status_ = -1;
  bool over_ = false;
};

int run(const std::string &root, const std::vector<std::pair<std::string, std::string>> &wanted) {
  // The containers begin with none blocked.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  riverrun::Fd told(signalfd(-1, &signals, SFD_CLOEXEC));

  riverrun::ContextOptions options;
  options.root = root;
  riverrun::Context context(options);
  Loop loop;
  std::vector<std::unique_ptr<Service>> services;
  size_t ended = 0;
  bool over = false;
  for (const auto &[name, bundle] : wanted)
    services.push_back(std::make_unique<Service>(loop, context, name, bundle, [&] { over = ++ended == wanted.size(); }));
  loop.add(told.get(), [&] {
    signalfd_siginfo info;
    if (::read(told.get(), &info, sizeof info) == sizeof info)
      for (auto &service : services) service->stop();
  });
  loop.run(over);
  int worst = 0;
  for (auto &service : services) worst = std::max(worst, service->status());
  return worst;
}

}  // namespace

int main(int argc, char **argv) {
  std::string root;
  std::vector<std::pair<std::string, std::string>> wanted;
  bool sane = true;
  for (int option; (option = getopt(argc, argv, "r:")) != -1;) option == 'r' ? void(root = optarg) : void(sane = false);
  for (int i = optind; i < argc; ++i) {
    std::string word = argv[i];
    size_t sign = word.find('=');
    if (sign == std::string::npos) sane = false;
    else wanted.emplace_back(word.substr(0, sign), word.substr(sign + 1));
  }
  if (!sane || wanted.empty()) {
    std::cerr << "usage: loop [-r ROOT] NAME=BUNDLE...\n\nRuns containers in one event loop, with riverrun "
              << riverrun::version() << ".\n";
    return 2;
  }
  try {
    return run(root, wanted);
  } catch (const riverrun::Error &error) {
    std::cerr << "loop: " << error.what() << " (" << error.name() << ")\n";
  } catch (const std::exception &error) {
    std::cerr << "loop: " << error.what() << "\n";
  }
  return 1;
}
