#include "support/onnx_data.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const char *md_test_onnx_data(char *buf, size_t size)
{
    static const char find[] =
        "python3 -c 'import importlib.util as u, os; s = u.find_spec(\"onnx\");"
        "print(os.path.dirname(s.origin) + \"/backend/test/data\" if s else "
        "\"\")' 2>/dev/null";
    struct stat st;
    FILE *f = popen(find, "r");

    if (!f)
        return NULL;
    if (!fgets(buf, (int)size, f))
        buf[0] = '\0';
    pclose(f);
    buf[strcspn(buf, "\n")] = '\0';
    return stat(buf, &st) == 0 && S_ISDIR(st.st_mode) ? buf : NULL;
}
