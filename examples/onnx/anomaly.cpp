// What an exported detector of one variable without a calendar expects of the next number: ./anomaly m.onnx <numbers
// Prints for every number what it is, what was expected, and the ends of the band that holds 80 % of them.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <openvino/openvino.hpp>
#include <string>

// The network in a file by OpenVINO, which reads ONNX, and its state, which goes out of a step and into the next one.
struct Network {
    std::string recipe;  // out of the file's metadata
    ov::InferRequest request;
    ov::Tensor x, h, c;

    explicit Network(const char* file) {
        ov::Core core;
        const auto model = core.read_model(file);
        recipe = model->get_rt_info<std::string>("framework", "recipe");
        const auto exact = ov::hint::inference_precision(ov::element::f32);
        request = core.compile_model(model, "CPU", exact).create_infer_request();
        for (auto [name, tensor] : {std::pair{"x", &x}, {"h", &h}, {"c", &c}}) {
            const size_t width = model->input(name).get_partial_shape()[2].get_length();
            *tensor = ov::Tensor(ov::element::f32, {1, 1, width});
            std::fill_n(tensor->data<float>(), width, 0.0f);
            request.set_tensor(name, *tensor);
        }
    }

    // The centre and the logarithm of the scale of what follows on a feature.
    std::pair<double, double> step(double feature) {
        *x.data<float>() = static_cast<float>(feature);
        request.infer();
        request.get_tensor("h_next").copy_to(h);
        request.get_tensor("c_next").copy_to(c);
        return {*request.get_tensor("centre").data<float>(), *request.get_tensor("log_sigma").data<float>()};
    }
};

int main(int, char** argv) {
    Network network(argv[1]);
    const auto constant = [&](const std::string& name) {  // of the recipe
        const std::string key = '"' + name + "\": ";
        return std::stod(network.recipe.substr(network.recipe.find(key) + key.size()));
    };
    if (constant("count") != 1) return std::cerr << "this example is for detectors of one feature\n", 1;
    const double reach = constant("reach"), least = constant("least"), settled = constant("outlier_after");
    double value, feature = 0, level = 0, deviation = 0, unit = least;  // the last four of the numbers so far
    std::cout.precision(9);
    for (double points = 1; std::cin >> value; ++points) {
        const auto [centre, log_sigma] = network.step(feature);
        const double half = constant("band80") * std::exp(log_sigma);
        std::cout << value;
        for (double place : {centre, centre - half, centre + half})
            std::cout << ',' << level + unit * std::sinh(std::clamp(place, -reach, reach));
        std::cout << std::endl;

        const double bound = points > settled ? constant("outlier") * unit : INFINITY;
        const double away = std::clamp(value - level, -bound, bound);
        level += away / std::min(points, constant("forget"));
        deviation += (std::abs(away) - deviation) / std::min(points, constant("forget"));
        unit = std::max({deviation, constant("floor") * std::abs(level), least});
        feature = std::asinh((value - level) / unit);
    }
}
