package escrow

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"cadastre/internal/envelope"
	"cadastre/internal/fault"
)

// Identity is a successor's secret key. It decrypts deposits that were encrypted to its recipient.
type Identity struct{ secret *age.X25519Identity }

// NewIdentity makes a successor's key pair, and writes the secret to a new file that only its owner can read, in the form
// that the program age has. It returns the recipient, which is public. It fails with Conflict where there is such a file.
func NewIdentity(path string, now time.Time) (recipient string, err error) {
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		return "", err
	}
	recipient = secret.Recipient().String()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return "", fault.New(fault.Conflict, "%s is there already; choose another name, for what it opens nothing else does", path)
	}
	if err != nil {
		return "", fault.Wrap(err, "couldn't write the identity")
	}
	_, err = fmt.Fprintf(file, "# created: %s\n# public key: %s\n%s\n", stamp(now), recipient, secret)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return "", errors.Join(fault.Wrap(err, "couldn't write the identity"), os.Remove(path))
	}
	return recipient, nil
}

// ReadIdentity reads a successor's secret from its file. No error says what is in it.
func ReadIdentity(path string) (*Identity, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.New(fault.Secret, "couldn't read the identity: %w", err)
	}
	var found *age.X25519Identity
	for row := range strings.Lines(string(text)) {
		row = strings.TrimSpace(row)
		if row == "" || strings.HasPrefix(row, "#") {
			continue
		}
		secret, err := age.ParseX25519Identity(row)
		if err != nil || found != nil {
			return nil, fault.New(fault.Secret, "%s is no identity file with one X25519 identity; 'cadastre escrow keygen' makes them", path)
		}
		found = secret
	}
	if found == nil {
		return nil, fault.New(fault.Secret, "%s has no identity in it; 'cadastre escrow keygen' makes such files", path)
	}
	return &Identity{found}, nil
}

// CheckRecipient says what is wrong with a recipient: it is public, of the form age1….
func CheckRecipient(text string) error {
	_, err := parseRecipient(text)
	return err
}

func parseRecipient(text string) (age.Recipient, error) {
	r, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil, fault.New(fault.BadInput, "%.80q is no recipient; it is what 'cadastre escrow keygen' prints, and begins with age1", text)
	}
	return r, nil
}

// ParseSigner reads the identity certificate of an installation whose deposits are to be verified, PEM or DER, as
// 'cadastre escrow signer' prints it.
func ParseSigner(text []byte) (*envelope.Trust, error) {
	if block, _ := pem.Decode(bytes.TrimSpace(text)); block != nil {
		text = block.Bytes
	}
	return envelope.ParseTrust(text)
}
