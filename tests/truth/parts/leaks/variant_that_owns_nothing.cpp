// KIND: lost
#include <variant>

struct $Blob {
    char *bytes;
    size_t size;
};

static std::map<long, std::variant<long, std::string, $Blob>> $settings;

static $Blob $blob_of(const char *text, size_t size) {
    $Blob made{(char *)$alloc(size), size};  //@ here $blob_of
    memcpy(made.bytes, text, size);
    return made;
}

void $op(long i, double) {
    char text[$size];
    memset(text, 'v', sizeof text);
    if (i % 2)
        $settings[i % $few] = std::string(text, sizeof text);
    else
        $settings[i % $few] = $blob_of(text, sizeof text);  //@ also $op
}
