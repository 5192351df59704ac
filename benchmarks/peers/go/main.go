// A controller with one worker that does nothing, on controller-runtime: what
// benchmarks/subject.py is for Python, with the same options and the same line of output.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const sent = "benchmarks.smbpctl.dev/sent"

// Reading is the line that the benchmarks read.
type Reading struct {
	Amount int                `json:"amount"`
	Digest string             `json:"digest"`
	Extras map[string]float64 `json:"extras"`
	Cost
}

// reconciler counts; see run for what the channels tell.
type reconciler struct {
	client  client.Client
	form    client.Object
	objects int64
	last    string
	stamped bool

	count  atomic.Int64
	synced chan struct{}
	done   chan struct{}
	delays []time.Duration
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	count := r.count.Add(1)
	if count == r.objects {
		close(r.synced)
	}
	if count <= r.objects {
		return ctrl.Result{}, nil
	}
	if r.stamped {
		if err := r.measure(ctx, request, now()); err != nil {
			return ctrl.Result{}, err
		}
	}
	if request.Name == r.last {
		close(r.done)
	}
	return ctrl.Result{}, nil
}

// measure takes the time from when the server sent the newest version until now.
func (r *reconciler) measure(ctx context.Context, request ctrl.Request, started int64) error {
	object := r.form.DeepCopyObject().(client.Object)
	if err := r.client.Get(ctx, request.NamespacedName, object); err != nil {
		return err
	}
	moment, err := strconv.ParseInt(object.GetLabels()[sent], 10, 64)
	if err != nil {
		return err
	}
	r.delays = append(r.delays, time.Duration(started-moment))
	return nil
}

func main() {
	form := flag.String("form", "unstructured", "how objects are kept: unstructured, typed or metadata")
	url := flag.String("server", "", "URL of the API server")
	credentials := flag.String("credentials", "", "folder as benchmarks/access.py has it")
	amount := flag.Int64("amount", 0, "how many objects there are")
	events := flag.Int("events", 0, "how many events to wait for after them; none: measure the sync")
	last := flag.String("last", "", "name of the object that changes last")
	stamped := flag.Bool("stamped", false, "measure how long events take until they are reconciled")
	seconds := flag.Float64("seconds", 0, "measure this long without events instead")
	flag.Parse()
	log.SetLogger(logr.Discard())
	config := &rest.Config{Host: *url, QPS: -1}
	if *credentials != "" {
		config.TLSClientConfig = rest.TLSClientConfig{
			CAFile:   filepath.Join(*credentials, "authority.pem"),
			CertFile: filepath.Join(*credentials, "client.pem"),
			KeyFile:  filepath.Join(*credentials, "client.key"),
		}
	}
	r := &reconciler{objects: *amount, last: *last, stamped: *stamped}
	r.synced, r.done = make(chan struct{}), make(chan struct{})
	manager := managed(config, r, *form)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	reading := Reading{Amount: int(*amount), Extras: map[string]float64{}}
	metered := begin()
	go func() { ended <- manager.Start(ctx) }()
	if *amount > 0 {
		wait(r.synced, ended)
	} else if !manager.GetCache().WaitForCacheSync(ctx) {
		fail(fmt.Errorf("the cache does not sync"))
	}
	if *seconds > 0 {
		reading.Extras["rss_bytes_total"] = float64(settledRSS())
		metered = begin()
		time.Sleep(time.Duration(*seconds * float64(time.Second)))
	}
	if *events > 0 {
		metered = begin()
		fmt.Println("ready")
		wait(r.done, ended)
		reading.Amount = *events
	}
	reading.Cost = metered.end()
	reading.Extras["reconciles"] = float64(r.count.Load() - *amount)
	if *events == 0 {
		reading.Amount, reading.Digest = digest(ctx, manager.GetClient(), *form)
	}
	cancel()
	if err := <-ended; err != nil {
		fail(err)
	}
	if *stamped {
		percentiles(r.delays, reading.Extras)
	}
	if err := json.NewEncoder(os.Stdout).Encode(reading); err != nil {
		fail(err)
	}
}

// managed returns a manager with one controller, everything at the library's defaults but two:
// there is no server for metrics, and the client is not rate limited.
func managed(config *rest.Config, r *reconciler, form string) ctrl.Manager {
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme(),
		Metrics: server.Options{BindAddress: "0"},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		fail(err)
	}
	r.client = manager.GetClient()
	builder := ctrl.NewControllerManagedBy(manager).Named("parcels")
	switch form {
	case "typed":
		r.form = &Parcel{}
		builder = builder.For(r.form)
	case "metadata":
		partial := &metav1.PartialObjectMetadata{}
		partial.SetGroupVersionKind(parcels)
		r.form = partial
		builder = builder.For(r.form)
	default:
		untyped := &unstructured.Unstructured{}
		untyped.SetGroupVersionKind(parcels)
		r.form = untyped
		builder = builder.For(r.form)
	}
	if err := builder.Complete(r); err != nil {
		fail(err)
	}
	return manager
}

// digest returns how many objects the cache holds, and what benchmarks/subjects/outcome.py makes
// of their names and versions.
func digest(ctx context.Context, reader client.Reader, form string) (int, string) {
	var lines []string
	seen := func(object client.Object) {
		lines = append(lines, object.GetName()+" "+object.GetResourceVersion())
	}
	gvk := parcels
	gvk.Kind += "List"
	var err error
	switch form {
	case "typed":
		list := &ParcelList{}
		err = reader.List(ctx, list, client.UnsafeDisableDeepCopy)
		for i := range list.Items {
			seen(&list.Items[i])
		}
	case "metadata":
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk)
		err = reader.List(ctx, list, client.UnsafeDisableDeepCopy)
		for i := range list.Items {
			seen(&list.Items[i])
		}
	default:
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		err = reader.List(ctx, list, client.UnsafeDisableDeepCopy)
		for i := range list.Items {
			seen(&list.Items[i])
		}
	}
	if err != nil {
		fail(err)
	}
	slices.Sort(lines)
	return len(lines), fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

// percentiles adds the median, the 99th percentile and the maximum, in microseconds.
func percentiles(delays []time.Duration, extras map[string]float64) {
	if len(delays) == 0 {
		fail(fmt.Errorf("no event was reconciled"))
	}
	slices.Sort(delays)
	at := func(share float64) float64 {
		return float64(delays[int(share*float64(len(delays)-1))]) / 1e3
	}
	extras["p50_us"], extras["p99_us"], extras["max_us"] = at(0.5), at(0.99), at(1)
}

// now reads the clock that all processes of the machine share.
func now() int64 {
	var moment unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &moment); err != nil {
		fail(err)
	}
	return moment.Nano()
}

func wait(happened <-chan struct{}, ended <-chan error) {
	select {
	case <-happened:
	case err := <-ended:
		fail(fmt.Errorf("the manager ended: %w", err))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "controller-runtime peer:", err)
	os.Exit(1)
}
