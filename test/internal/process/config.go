package process

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

// Configure changes what init wrote into the config.toml of a data directory: the [tls] section, where one is given, and
// values of [policy].
func Configure(data string, tls, policy map[string]any) error {
	path := filepath.Join(data, "config.toml")
	var config map[string]any
	if _, err := toml.DecodeFile(path, &config); err != nil {
		return err
	}
	if tls != nil {
		config["tls"] = tls
	}
	has, ok := config["policy"].(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no [policy]", path)
	}
	maps.Copy(has, policy)
	text, err := toml.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
