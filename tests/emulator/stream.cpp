/* stream.cpp - streams as queues that run late, events, captured graphs.
 *
 * Nothing runs when it is queued. Where the host waits, operations are taken
 * from the heads of the streams in a drawn order, bounded only by the events
 * that a stream waits for, until what the host waits for is done. */
#include <stdio.h>

#include <algorithm>
#include <deque>

#include "tests/emulator/internal.h"

using namespace surge_emulator;

/* Done once the record that it belongs to has run. */
typedef std::shared_ptr<bool> ticket;

struct entry {
  operation what;
  ticket waits_for; /* or NULL */
};

struct CUgraph_st {
  struct node {
    operation what;
    std::vector<size_t> after;
  };
  std::vector<node> nodes;
  cudaStream_t origin;
  bool invalid;
};

struct CUgraphExec_st {
  std::shared_ptr<const CUgraph_st> graph;
};

struct CUstream_st {
  bool non_blocking;
  std::deque<entry> entries;
  cudaGraph_t capture;           /* NULL: not captured               */
  std::vector<size_t> last_nodes; /* that the next one is to follow   */
};

struct CUevent_st {
  ticket recorded; /* NULL: never                       */
  cudaGraph_t capture;
  std::vector<size_t> nodes; /* recorded in that capture */
};

static std::vector<cudaStream_t> streams;
static std::vector<cudaEvent_t> events;
static std::vector<cudaGraph_t> captures_open;

static bool known(cudaStream_t s) {
  return std::find(streams.begin(), streams.end(), s) != streams.end();
}

static void check_stream(const char *call, cudaStream_t s) {
  if (s == nullptr) fail("%s on the null stream; name one", call);
  if (!known(s)) fail("%s on a stream that does not exist", call);
}

static void check_event(const char *call, cudaEvent_t e) {
  if (std::find(events.begin(), events.end(), e) == events.end())
    fail("%s on an event that does not exist", call);
}

/* --- running -------------------------------------------------------------------- */

static void execute(const operation &o) {
  bool touches = o.who != access::host; /* an event touches no memory */
  if (touches) allow(o.who);
  running = o.name;
  o.run();
  if (touches) check_guards();
  running.clear();
}

static bool runnable(cudaStream_t s) {
  return !s->entries.empty() && (s->entries.front().waits_for == nullptr ||
                                 *s->entries.front().waits_for);
}

/* One operation of a drawn stream, or of `preferred` where it can; false when
 * none can. */
static bool step(cudaStream_t preferred) {
  std::vector<cudaStream_t> can;
  for (cudaStream_t s : streams)
    if (runnable(s)) can.push_back(s);
  if (can.empty()) return false;
  bool prefers =
      std::find(can.begin(), can.end(), preferred) != can.end();
  cudaStream_t s = prefers ? preferred : can[draw(can.size())];
  entry e = std::move(s->entries.front());
  s->entries.pop_front();
  if (e.what.run != nullptr) execute(e.what);
  return true;
}

/* Half of the waits leave other streams as far behind as events allow. */
template <class Done>
static void run_until(Done done, cudaStream_t waited_for) {
  cudaStream_t preferred = draw(2) ? waited_for : nullptr;
  while (!done())
    if (!step(preferred)) fail("the host waits for what nobody will do");
  allow(access::host);
}

namespace surge_emulator {

void finish_all(void) {
  run_until(
      [] {
        return std::all_of(streams.begin(), streams.end(), [](cudaStream_t s) {
          return s->entries.empty();
        });
      },
      nullptr);
}

void finish_blocking(void) {
  run_until(
      [] {
        return std::all_of(streams.begin(), streams.end(), [](cudaStream_t s) {
          return s->non_blocking || s->entries.empty();
        });
      },
      nullptr);
}

bool capturing(void) { return !captures_open.empty(); }

bool captures(cudaStream_t stream) {
  return known(stream) && stream->capture != nullptr;
}

cudaError_t refuse_in_capture(const char *call) {
  fprintf(stderr, "emulator: %s is not allowed while a stream is captured\n",
          call);
  for (cudaGraph_t g : captures_open) g->invalid = true;
  return failed(cudaErrorStreamCaptureUnsupported);
}

static cudaError_t add_node(cudaStream_t s, operation o) {
  if (s->capture->invalid) return failed(cudaErrorStreamCaptureInvalidated);
  s->capture->nodes.push_back({std::move(o), s->last_nodes});
  s->last_nodes = {s->capture->nodes.size() - 1};
  return cudaSuccess;
}

cudaError_t queue(cudaStream_t stream, operation o) {
  check_stream(o.name.c_str(), stream);
  if (stream->capture != nullptr) return add_node(stream, std::move(o));
  stream->entries.push_back({std::move(o), nullptr});
  return cudaSuccess;
}

} /* namespace surge_emulator */

/* --- streams -------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) {
  *stream = new CUstream_st{(flags & cudaStreamNonBlocking) != 0, {}, nullptr,
                            {}};
  streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  check_stream("cudaStreamDestroy", stream);
  if (stream->capture != nullptr) return refuse_in_capture("cudaStreamDestroy");
  run_until([=] { return stream->entries.empty(); }, stream);
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  check_stream("cudaStreamSynchronize", stream);
  if (capturing()) return refuse_in_capture("cudaStreamSynchronize");
  run_until([=] { return stream->entries.empty(); }, stream);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  check_stream("cudaStreamQuery", stream);
  if (capturing()) return refuse_in_capture("cudaStreamQuery");
  step(nullptr);
  allow(access::host);
  return stream->entries.empty() ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize(void) {
  if (capturing()) return refuse_in_capture("cudaDeviceSynchronize");
  finish_all();
  return cudaSuccess;
}

/* --- events --------------------------------------------------------------------- */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
  *event = new CUevent_st{nullptr, nullptr, {}};
  events.push_back(*event);
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  check_event("cudaEventDestroy", event);
  events.erase(std::find(events.begin(), events.end(), event));
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  check_event("cudaEventRecord", event);
  check_stream("cudaEventRecord", stream);
  event->capture = stream->capture;
  event->nodes = stream->last_nodes;
  if (stream->capture != nullptr) return cudaSuccess;
  ticket mark = event->recorded = std::make_shared<bool>(false);
  return queue(stream, {"cudaEventRecord", access::host, [=] { *mark = true; }});
}

/* A stream that waits for an event of a capture joins that capture. */
static cudaError_t join_capture(cudaStream_t stream, cudaEvent_t event) {
  if (stream->capture == nullptr && !stream->entries.empty())
    fail("cudaStreamWaitEvent: a stream with work queued joins a capture");
  stream->capture = event->capture;
  for (size_t node : event->nodes) stream->last_nodes.push_back(node);
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event,
                                unsigned) {
  check_event("cudaStreamWaitEvent", event);
  check_stream("cudaStreamWaitEvent", stream);
  if (event->capture != nullptr) return join_capture(stream, event);
  if (stream->capture != nullptr)
    fail("cudaStreamWaitEvent: a captured stream waits for an event outside");
  if (event->recorded != nullptr)
    stream->entries.push_back(
        {{"cudaStreamWaitEvent", access::host, nullptr}, event->recorded});
  return cudaSuccess;
}

static bool event_done(cudaEvent_t event) {
  return event->recorded == nullptr || *event->recorded;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  check_event("cudaEventSynchronize", event);
  if (capturing()) return refuse_in_capture("cudaEventSynchronize");
  run_until([=] { return event_done(event); }, nullptr);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  check_event("cudaEventQuery", event);
  if (capturing()) return refuse_in_capture("cudaEventQuery");
  step(nullptr);
  allow(access::host);
  return event_done(event) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start,
                                 cudaEvent_t end) {
  *ms = 1.0f; /* time is not emulated */
  return event_done(start) && event_done(end) ? cudaSuccess
                                              : cudaErrorNotReady;
}

/* --- graphs --------------------------------------------------------------------- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  check_stream("cudaStreamBeginCapture", stream);
  if (stream->capture != nullptr)
    fail("cudaStreamBeginCapture: the stream is captured already");
  stream->capture = new CUgraph_st{{}, stream, false};
  captures_open.push_back(stream->capture);
  return cudaSuccess;
}

/* Whether every node of `graph` comes before the origin's end or is it. */
static bool joined(cudaGraph_t graph, const std::vector<size_t> &ends) {
  std::vector<bool> reached(graph->nodes.size(), false);
  for (size_t node : ends) reached[node] = true;
  for (size_t i = graph->nodes.size(); i-- > 0;)
    if (reached[i])
      for (size_t before : graph->nodes[i].after) reached[before] = true;
  return std::find(reached.begin(), reached.end(), false) == reached.end();
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  check_stream("cudaStreamEndCapture", stream);
  cudaGraph_t captured = stream->capture;
  *graph = nullptr;
  if (captured == nullptr || captured->origin != stream)
    fail("cudaStreamEndCapture: no capture began on this stream");
  bool whole = joined(captured, stream->last_nodes);
  for (cudaStream_t s : streams)
    if (s->capture == captured) s->capture = nullptr, s->last_nodes.clear();
  for (cudaEvent_t e : events)
    if (e->capture == captured) e->capture = nullptr, e->nodes.clear();
  captures_open.erase(
      std::find(captures_open.begin(), captures_open.end(), captured));
  if (captured->invalid || !whole) {
    cudaError_t error = captured->invalid ? cudaErrorStreamCaptureInvalidated
                                          : cudaErrorStreamCaptureUnjoined;
    delete captured;
    return failed(error);
  }
  *graph = captured;
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream,
                                  cudaStreamCaptureStatus *status) {
  check_stream("cudaStreamIsCapturing", stream);
  *status = stream->capture == nullptr  ? cudaStreamCaptureStatusNone
            : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long) {
  *exec = new CUgraphExec_st{std::make_shared<CUgraph_st>(*graph)};
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec,
                                          cudaGraph_t graph,
                                          unsigned long long flags) {
  return cudaGraphInstantiate(exec, graph, flags);
}

/* Nodes in a drawn order that respects their edges. */
static void run_graph(const CUgraph_st &graph) {
  std::vector<bool> done(graph.nodes.size(), false);
  for (size_t left = graph.nodes.size(); left > 0; left--) {
    std::vector<size_t> can;
    for (size_t i = 0; i < graph.nodes.size(); i++) {
      const auto &after = graph.nodes[i].after;
      if (!done[i] && std::all_of(after.begin(), after.end(),
                                  [&](size_t node) { return done[node]; }))
        can.push_back(i);
    }
    size_t node = can[draw(can.size())];
    execute(graph.nodes[node].what);
    done[node] = true;
  }
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  check_stream("cudaGraphLaunch", stream);
  if (stream->capture != nullptr) return refuse_in_capture("cudaGraphLaunch");
  auto graph = exec->graph;
  return queue(stream,
               {"cudaGraphLaunch", access::copy, [=] { run_graph(*graph); }});
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
