// Command kmsplugin is a KMS v2 plugin, by upstream's library, for tests: its one key is in a file beside its socket. It is no
// example of how to keep a key.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/kms/pkg/service"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kmsplugin SOCKET KEYFILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(socket, keyFile string) error {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	return service.NewGRPCService(socket, 5*time.Second, plugin{aead}).ListenAndServe()
}

// keyID is the name of the one key.
const keyID = "1"

type plugin struct{ cipher.AEAD }

func (p plugin) Encrypt(_ context.Context, _ string, data []byte) (*service.EncryptResponse, error) {
	nonce := make([]byte, p.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return &service.EncryptResponse{Ciphertext: p.Seal(nonce, nonce, data, nil), KeyID: keyID}, nil
}

func (p plugin) Decrypt(_ context.Context, _ string, r *service.DecryptRequest) ([]byte, error) {
	if len(r.Ciphertext) < p.NonceSize() || r.KeyID != keyID {
		return nil, errors.New("this was not encrypted here")
	}
	return p.Open(nil, r.Ciphertext[:p.NonceSize()], r.Ciphertext[p.NonceSize():], nil)
}

func (p plugin) Status(context.Context) (*service.StatusResponse, error) {
	return &service.StatusResponse{Version: "v2", Healthz: "ok", KeyID: keyID}, nil
}
