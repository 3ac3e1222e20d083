package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hanse-dev/hanse/internal/controlplane/datadir"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// etcdQuota is the size at which etcd refuses writes. It is an upper bound,
	// nothing is reserved.
	etcdQuota = 8 << 30
	// etcdSnapshotCount is how many writes etcd keeps in memory and in its log
	// before it makes a snapshot, and etcdCatchUp how many of those before it keeps
	// in memory: few, since there is no slow follower to serve.
	etcdSnapshotCount = 1000
	etcdCatchUp       = 100
	// electionTimeout is in milliseconds.
	electionTimeout = 250
	// socketPathLimit is how long the path of a Unix socket may be, everywhere.
	socketPathLimit = 100
)

// database is the embedded etcd.
type database struct {
	server   *embed.Etcd
	endpoint string
	cleanup  func() error
}

// startEtcd runs etcd on a Unix socket in the data directory. It opens no port:
// there are no peers. When etcd gives up by itself, then or later, died is called.
func startEtcd(ctx context.Context, dir *datadir.Dir, unsafeNoFsync bool, log *gate, died func(error)) (*database, error) {
	socket, cleanup, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	gaveUp := make(chan error, 1)
	c := embed.NewConfig()
	c.Name = "hanse"
	c.Dir = dir.Path("etcd")
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.EnableGRPCGateway = false
	// A lone server elects itself at a random time within the timeout: a short
	// one starts sooner, and there is nobody whose silence it could mistake.
	c.TickMs = electionTimeout / 5
	c.ElectionMs = electionTimeout
	c.PreVote = false
	c.QuotaBackendBytes = etcdQuota
	c.SnapshotCount = etcdSnapshotCount
	c.SnapshotCatchUpEntries = etcdCatchUp
	c.UnsafeNoFsync = unsafeNoFsync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(log, func(err error) {
		err = datadir.Explain(dir.Path(), fmt.Errorf("etcd stopped: %w", err))
		died(err)
		select {
		case gaveUp <- err:
		default:
		}
	}))
	db := &database{endpoint: "unix://" + socket, cleanup: cleanup}
	if db.server, err = runEtcd(ctx, c, gaveUp); err != nil {
		return nil, errors.Join(datadir.Explain(dir.Path(), fmt.Errorf("starting etcd: %w", err)), cleanup())
	}
	return db, nil
}

// runEtcd returns when etcd takes requests. etcd runs in a goroutine of its own
// since that is what ends when it gives up.
func runEtcd(ctx context.Context, c *embed.Config, gaveUp <-chan error) (*embed.Etcd, error) {
	type result struct {
		server *embed.Etcd
		err    error
	}
	started := make(chan result, 1)
	go func() {
		server, err := embed.StartEtcd(c)
		started <- result{server, err}
	}()
	var server *embed.Etcd
	var err error
	select {
	case r := <-started:
		if r.err != nil {
			return nil, r.err
		}
		server = r.server
	case err = <-gaveUp:
		return nil, err
	}
	select {
	case <-server.Server.ReadyNotify():
		return server, nil
	case err = <-gaveUp:
		return nil, err
	case err = <-server.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	server.Close()
	return nil, err
}

// stop ends etcd after its last write. Blocks; nil is allowed.
func (db *database) stop() error {
	if db == nil {
		return nil
	}
	db.server.Close()
	return db.cleanup()
}

// socketPath is where etcd listens: in a directory of mode 0700 below the data
// directory, unless that path is too long for a socket's.
func socketPath(dir *datadir.Dir) (path string, cleanup func() error, err error) {
	path = dir.Path("run", "etcd.sock")
	if len(path) <= socketPathLimit {
		return path, func() error { return nil }, os.MkdirAll(filepath.Dir(path), 0o700)
	}
	parent, err := os.MkdirTemp("", "hanse-")
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for etcd's socket: %w", err)
	}
	return filepath.Join(parent, "etcd.sock"), func() error { return os.RemoveAll(parent) }, nil
}

// etcdLogger passes errors on, and turns what etcd calls fatal or panics about (a
// disk that is full, above all) into the end of etcd instead of the process.
func etcdLogger(log *gate, gaveUp func(error)) *zap.Logger {
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.RFC3339TimeEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoder), zapcore.AddSync(log), zapcore.ErrorLevel)
	hook := fatalHook(gaveUp)
	return zap.New(core, zap.WithFatalHook(hook), zap.WithPanicHook(hook))
}

type fatalHook func(error)

// OnWrite ends the goroutine, since etcd does not expect these calls to return.
func (gaveUp fatalHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	gaveUp(fatalError(entry.Message, fields))
	runtime.Goexit()
}

// fatalError finds the error in a log entry's fields.
func fatalError(message string, fields []zapcore.Field) error {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			return fmt.Errorf("%s: %w", message, err)
		}
	}
	return errors.New(message)
}

// reachEtcd makes sure that one of the outside etcd's servers accepts
// connections, for the API server itself would try for a minute and then exit.
func reachEtcd(ctx context.Context, servers []string) error {
	var failures error
	for _, server := range servers {
		u, err := url.Parse(server)
		if err != nil || u.Host == "" {
			return fmt.Errorf("%q is not the URL of an etcd server. Try: https://HOST:2379", server)
		}
		dialer := net.Dialer{Timeout: 5 * time.Second}
		connection, err := dialer.DialContext(ctx, "tcp", u.Host)
		if err == nil {
			return connection.Close()
		}
		failures = errors.Join(failures, err)
	}
	return fmt.Errorf("no etcd server answers: %w. Try: start it, or correct --etcd-servers", failures)
}
