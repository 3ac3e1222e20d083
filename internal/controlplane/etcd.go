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
	// before it makes a snapshot: few, since there is no slow follower to serve.
	etcdSnapshotCount = 5000
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
// there are no peers. died is called, once at most, when etcd gives up by itself.
func startEtcd(ctx context.Context, dir *datadir.Dir, unsafeNoFsync bool, log *gate, died func(error)) (*database, error) {
	socket, cleanup, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	c := embed.NewConfig()
	c.Name = "hanse"
	c.Dir = dir.Path("etcd")
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	c.AdvertiseClientUrls = c.ListenClientUrls
	c.ListenPeerUrls = nil
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.EnableGRPCGateway = false
	c.QuotaBackendBytes = etcdQuota
	c.SnapshotCount = etcdSnapshotCount
	c.SnapshotCatchUpEntries = etcdSnapshotCount
	c.UnsafeNoFsync = unsafeNoFsync
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(log, dir, died))

	server, err := embed.StartEtcd(c)
	if err != nil {
		return nil, errors.Join(datadir.Explain(dir.Path(), fmt.Errorf("starting etcd: %w", err)), cleanup())
	}
	db := &database{server: server, endpoint: "unix://" + socket, cleanup: cleanup}
	select {
	case <-server.Server.ReadyNotify():
		go func() {
			if err := <-server.Err(); err != nil {
				died(fmt.Errorf("etcd stopped: %w", err))
			}
		}()
		return db, nil
	case err = <-server.Err():
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(fmt.Errorf("starting etcd: %w", err), db.stop())
}

// stop ends etcd after its last write. Blocks; nil is allowed.
func (db *database) stop() error {
	if db == nil {
		return nil
	}
	db.server.Close()
	return db.cleanup()
}

// socketPath is where etcd listens: in the data directory (0700) unless its path
// is too long for a socket's.
func socketPath(dir *datadir.Dir) (path string, cleanup func() error, err error) {
	path = dir.Path("etcd.sock")
	if len(path) <= socketPathLimit {
		return path, func() error { return nil }, nil
	}
	parent, err := os.MkdirTemp("", "hanse-")
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for etcd's socket: %w", err)
	}
	return filepath.Join(parent, "etcd.sock"), func() error { return os.RemoveAll(parent) }, nil
}

// etcdLogger passes errors on, and turns what etcd calls fatal (a disk that is
// full, above all) into a clean end instead of an exit.
func etcdLogger(log *gate, dir *datadir.Dir, died func(error)) *zap.Logger {
	encoder := zap.NewProductionEncoderConfig()
	encoder.EncodeTime = zapcore.RFC3339TimeEncoder
	core := zapcore.NewCore(zapcore.NewConsoleEncoder(encoder), zapcore.AddSync(log), zapcore.ErrorLevel)
	return zap.New(core, zap.WithFatalHook(fatalHook(func(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
		died(datadir.Explain(dir.Path(), fmt.Errorf("etcd stopped: %w", fatalError(entry.Message, fields))))
	})))
}

type fatalHook func(*zapcore.CheckedEntry, []zapcore.Field)

// OnWrite ends the goroutine, since etcd does not expect Fatal to return.
func (f fatalHook) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	f(entry, fields)
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
